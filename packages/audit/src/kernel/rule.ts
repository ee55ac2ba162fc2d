import type { KernelArch, KernelFacts } from './facts.ts';

/** URLs of the recommendations from which the rules come. */
export const RULE_SOURCES = {
  kspp: 'https://kspp.github.io/Recommended_Settings',
  linux: 'https://docs.kernel.org/security/self-protection.html',
  mitigations: 'https://docs.kernel.org/admin-guide/hw-vuln/index.html',
  lockdown: 'https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html',
  clipos: 'https://docs.clip-os.org/clipos/kernel.html',
  grsecurity: 'https://grsecurity.net/features',
  grapheneos: 'https://grapheneos.org/features',
  cis: 'https://www.cisecurity.org/benchmark/distribution_independent_linux',
} as const;

export type RuleSource = keyof typeof RULE_SOURCES;

/**
 * A condition on a kernel. The value `n` stands for an unset symbol, `null` for an absent
 * parameter.
 */
export type Condition =
  | { readonly config: string; readonly is: string }
  | { readonly config: string; readonly has: string }
  | { readonly parameter: string; readonly is: string | null }
  | { readonly sysctl: string; readonly is: string }
  | { readonly any: readonly Condition[] }
  | { readonly all: readonly Condition[] };

/** A kernel setting that makes vulnerabilities harder to exploit. */
export interface KernelRule {
  /** `kconfig:DEVMEM`, `cmdline:nokaslr`, `sysctl:kernel.kptr_restrict` */
  readonly id: string;
  readonly kind: 'kconfig' | 'cmdline' | 'sysctl';
  readonly check: Condition;
  /** Architectures of the rule; undefined for all. */
  readonly arches?: readonly KernelArch[];
  /** First kernel version with the setting. */
  readonly since?: readonly [number, number];
  /** The risk without the setting. */
  readonly reason: string;
  readonly source: RuleSource;
}

type More = Partial<Pick<KernelRule, 'arches' | 'since'>> & {
  /** Alternative conditions. */
  readonly or?: readonly Condition[];
};

/** Restricts a rule to one architecture. */
export const x86Only: Pick<KernelRule, 'arches'> = { arches: ['x86_64'] };
export const armOnly: Pick<KernelRule, 'arches'> = { arches: ['arm64'] };

/** Returns the condition that a symbol has a value. */
export function config(symbol: string, is: string): Condition {
  return { config: symbol, is };
}

/** Returns the condition that a parameter has a value, or for null that it is absent. */
export function parameter(name: string, is: string | null): Condition {
  return { parameter: name, is };
}

/** Returns a rule that a symbol is `y`. */
export function on(symbol: string, reason: string, source: RuleSource, more?: More): KernelRule {
  return rule('kconfig', symbol, config(symbol, 'y'), reason, source, more);
}

/** Returns a rule that a symbol is not set. */
export function off(symbol: string, reason: string, source: RuleSource, more?: More): KernelRule {
  return rule('kconfig', symbol, config(symbol, 'n'), reason, source, more);
}

/** Returns a rule with a check and alternatives to it. */
export function rule(
  kind: KernelRule['kind'],
  name: string,
  check: Condition,
  reason: string,
  source: RuleSource,
  { or, ...more }: More = {},
): KernelRule {
  return {
    id: `${kind}:${name}`,
    kind,
    check: or === undefined ? check : { any: [check, ...or] },
    reason,
    source,
    ...more,
  };
}

/** Returns a rule that a parameter is absent. */
export function noParameter(
  name: string,
  reason: string,
  source: RuleSource,
  more?: More,
): KernelRule {
  return rule('cmdline', name, parameter(name, null), reason, source, more);
}

/**
 * Returns a rule that a parameter has a value, or is absent while the config makes that value the
 * default.
 */
export function parameterOrDefault(
  name: string,
  value: string,
  byDefault: readonly [string, string],
  reason: string,
  more?: More,
): KernelRule {
  const [symbol, is] = byDefault;
  return rule(
    'cmdline',
    name,
    { any: [parameter(name, value), { all: [config(symbol, is), parameter(name, null)] }] },
    reason,
    'kspp',
    more,
  );
}

/** Reports whether a condition holds. Without a config no symbol condition on a value holds. */
export function holds(condition: Condition, facts: KernelFacts): boolean {
  if ('any' in condition) return condition.any.some((one) => holds(one, facts));
  if ('all' in condition) return condition.all.every((one) => holds(one, facts));
  if ('sysctl' in condition) return facts.sysctls?.get(condition.sysctl) === condition.is;
  if ('parameter' in condition)
    return (facts.parameters?.get(condition.parameter) ?? null) === condition.is;
  const value = facts.config?.symbols.get(condition.config) ?? 'n';
  if ('has' in condition) return value.replaceAll('"', '').split(',').includes(condition.has);
  return facts.config !== undefined && value === condition.is;
}

/** Formats a condition as the user would write it. */
export function describeCondition(condition: Condition): string {
  if ('any' in condition) return condition.any.map(describeCondition).join(' or ');
  if ('all' in condition) return condition.all.map(describeCondition).join(' and ');
  if ('sysctl' in condition) return `${condition.sysctl}=${condition.is}`;
  if ('parameter' in condition) {
    if (condition.is === null) return `no ${condition.parameter}`;
    return condition.is === '' ? condition.parameter : `${condition.parameter}=${condition.is}`;
  }
  if ('has' in condition) return `CONFIG_${condition.config} has ${condition.has}`;
  return condition.is === 'n'
    ? `CONFIG_${condition.config} is not set`
    : `CONFIG_${condition.config}=${condition.is}`;
}
