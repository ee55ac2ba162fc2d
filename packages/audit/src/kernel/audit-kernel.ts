import { CMDLINE_RULES } from './cmdline-rules.ts';
import type { KernelArch, KernelFacts } from './facts.ts';
import { MEMORY_RULES } from './memory-rules.ts';
import { POLICY_RULES } from './policy-rules.ts';
import { PROCESSOR_RULES } from './processor-rules.ts';
import { holds, type KernelRule, RULE_SOURCES } from './rule.ts';
import { SURFACE_RULES } from './surface-rules.ts';
import { SYSCTL_RULES } from './sysctl-rules.ts';

/** All rules for kernels. An id occurs at most once per architecture. */
export const KERNEL_RULES: readonly KernelRule[] = [
  ...MEMORY_RULES,
  ...PROCESSOR_RULES,
  ...POLICY_RULES,
  ...SURFACE_RULES,
  ...CMDLINE_RULES,
  ...SYSCTL_RULES,
];

/** The result of a rule for one kernel. */
export interface KernelVerdict {
  readonly id: string;
  readonly kind: KernelRule['kind'];
  readonly holds: boolean;
  /** The required setting, as the user would write it. */
  readonly wanted: string;
  readonly reason: string;
  /** URL of the recommendation. */
  readonly source: string;
}

/**
 * Evaluates every applicable rule for a kernel: those of its architecture and version, and those of
 * the command line and sysctls if these are known.
 * @example
 * ```ts
 * const facts = { config: parseKernelConfig(path, await readFile(path)) };
 * const failed = auditKernel(facts).filter(({ holds }) => !holds);
 * ```
 */
export function auditKernel(
  facts: KernelFacts,
  arch: KernelArch = facts.config?.arch ?? 'x86_64',
): readonly KernelVerdict[] {
  const isKnown = {
    kconfig: facts.config !== undefined,
    cmdline: facts.parameters !== undefined,
    sysctl: facts.sysctls !== undefined,
  };
  return KERNEL_RULES.filter(
    ({ kind, arches, since }) =>
      isKnown[kind] && (arches?.includes(arch) ?? true) && isSince(facts.config?.version, since),
  ).map((rule) => ({
    id: rule.id,
    kind: rule.kind,
    holds: holds(rule, facts),
    wanted: rule.condition,
    reason: rule.reason,
    source: RULE_SOURCES[rule.source],
  }));
}

function isSince(version: string | undefined, since: KernelRule['since']): boolean {
  if (version === undefined || since === undefined) return true;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > since[0] || (major === since[0] && minor >= since[1]);
}
