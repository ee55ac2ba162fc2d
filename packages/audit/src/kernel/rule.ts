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

type RuleSource = keyof typeof RULE_SOURCES;

/** A kernel setting that makes vulnerabilities harder to exploit. */
export interface KernelRule {
  /** `kconfig:DEVMEM`, `cmdline:nokaslr`, `sysctl:kernel.kptr_restrict` */
  readonly id: string;
  readonly kind: 'kconfig' | 'cmdline' | 'sysctl';
  /** Terms joined by `or` and `and`, such as `pti=on`, `no nokaslr`, `CONFIG_KSM is not set`. */
  readonly condition: string;
  /** Architectures of the rule; undefined for all. */
  readonly arches?: readonly KernelArch[];
  /** First kernel version with the setting. */
  readonly since?: readonly [number, number];
  /** The risk without the setting. */
  readonly reason: string;
  readonly source: RuleSource;
}

/**
 * Parses a table of rules with the columns source, condition, reason, and name if that is not the
 * first word of the condition. An architecture and the first kernel version may follow the source.
 */
export function parseRules(kind: KernelRule['kind'], table: string): readonly KernelRule[] {
  return table
    .trim()
    .split('\n')
    .map((row) => {
      const [scope = '', condition = '', reason = '', named] = row.split(/ +\| /);
      const [source = '', ...limits] = scope.split(' ');
      const name = named ?? /^(?:no )?(?:CONFIG_)?([^ =]+)/.exec(condition)?.[1];
      if (!isSource(source)) throw new Error(`rule of unknown source: ${row}`);
      const arches = limits.filter((limit) => limit === 'x86_64' || limit === 'arm64');
      const [major, minor] = limits.at(-1)?.split('.').map(Number) ?? [];
      return {
        id: `${kind}:${name}`,
        kind,
        condition,
        reason,
        source,
        arches: arches.length === 0 ? undefined : arches,
        since: major === undefined || minor === undefined ? undefined : [major, minor],
      };
    });
}

function isSource(name: string): name is RuleSource {
  return Object.hasOwn(RULE_SOURCES, name);
}

/** Reports whether the condition of a rule holds. Without a config no symbol has a value. */
export function holds({ kind, condition }: KernelRule, facts: KernelFacts): boolean {
  const settings = kind === 'sysctl' ? facts.sysctls : facts.parameters;
  return condition
    .split(' or ')
    .some((terms) =>
      terms
        .split(' and ')
        .every((term) =>
          term.startsWith('CONFIG_')
            ? symbolHolds(term, facts.config?.symbols)
            : settingHolds(term, settings),
        ),
    );
}

function symbolHolds(term: string, symbols: ReadonlyMap<string, string> | undefined): boolean {
  const [, name = '', item, wanted = 'n'] =
    /^CONFIG_(\w+)(?: has (\w+)|=(.+)| .*)$/.exec(term) ?? [];
  const value = symbols?.get(name) ?? 'n';
  if (item !== undefined) return value.replaceAll('"', '').split(',').includes(item);
  return symbols !== undefined && value === wanted;
}

function settingHolds(term: string, settings: ReadonlyMap<string, string> | undefined): boolean {
  if (term.startsWith('no ')) return settings?.has(term.slice('no '.length)) !== true;
  const [name = '', value = ''] = term.split('=');
  return settings?.get(name) === value;
}
