import { LktError } from '@lkt/core';
import { type KernelWaiver, waiveKernel, WAIVER_FIX } from '../waivers.ts';
import { auditKernel, type KernelVerdict } from './audit-kernel.ts';
import type { KernelFacts } from './facts.ts';

/** The verdict of a rule, with the reason of a waiver if one applies. */
export interface WaivedVerdict extends KernelVerdict {
  readonly waived?: string;
}

/** The audit of one kernel. */
export interface KernelReport {
  readonly name: string;
  readonly arch: string;
  readonly version: string;
  /** The number of rules, of those that hold, and of those that are waived. */
  readonly score: { readonly holds: number; readonly waived: number; readonly rules: number };
  readonly rules: readonly WaivedVerdict[];
}

/**
 * Audits a kernel and applies the waivers.
 * @param kernel `image` is the image's name without tag, for waivers limited to images
 */
export function reportKernel(
  { name, image, facts }: { name: string; image?: string; facts: KernelFacts },
  waivers: readonly KernelWaiver[],
): KernelReport {
  const { arch = 'x86_64', version = '' } = facts.config ?? {};
  const rules: readonly WaivedVerdict[] = waiveKernel(auditKernel(facts), waivers, image);
  const score = {
    holds: rules.filter(({ holds }) => holds).length,
    waived: rules.filter(({ waived }) => waived !== undefined).length,
    rules: rules.length,
  };
  return { name, arch, version, score, rules };
}

/**
 * Requires that every rule holds or is waived.
 * @throws AUDIT_FAILED
 */
export function requireKernelRules(kernels: readonly KernelReport[]): void {
  const bad = kernels
    .flatMap(({ rules }) => rules)
    .filter(({ holds, waived }) => !holds && waived === undefined);
  const [first, ...more] = new Set(bad.map(({ id }) => id));
  if (first === undefined) return;
  throw new LktError(
    'AUDIT_FAILED',
    more.length === 0 ? `${first} does not hold` : `${more.length + 1} rules do not hold`,
    { fix: WAIVER_FIX, report: { kernels } },
  );
}
