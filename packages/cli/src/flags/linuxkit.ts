import type { Interfaces } from '@oclif/core';
import { LktError, type Reporter } from '@lkt/core';
import { Flags } from './options.ts';

/** A hidden flag of LinuxKit that lkt accepts or rejects, but does not implement. */
export interface LinuxkitFlag {
  readonly takesValue: boolean;
  /**
   * `noop`: lkt always behaves as the flag demands. `warn`: the flag has no effect, and a warning
   * says why. `unsupported`: the flag is an error.
   */
  readonly effect: 'noop' | 'unsupported' | 'warn';
  /** The reason or the alternative, for the message. */
  readonly instead: string;
}

export type LinuxkitFlags = Readonly<Record<string, LinuxkitFlag>>;

type Kind = 'switch' | 'value';

/** Defines a flag that lkt always behaves as if given. */
export function noop(kind: Kind = 'switch'): LinuxkitFlag {
  return { takesValue: kind === 'value', effect: 'noop', instead: '' };
}

/** Defines a flag without effect; a warning gives the reason. */
export function warnIgnored(kind: Kind, instead: string): LinuxkitFlag {
  return { takesValue: kind === 'value', effect: 'warn', instead };
}

/** Defines a flag that is an error; its fix names the alternative. */
export function unsupported(kind: Kind, instead: string): LinuxkitFlag {
  return { takesValue: kind === 'value', effect: 'unsupported', instead };
}

/** LinuxKit's flags of every command that only some commands of lkt use. */
const EVERYWHERE: LinuxkitFlags = {
  'cert-file': noop('value'),
  mirror: noop('value'),
};

/** LinuxKit's flags for its builder, a BuildKit container in Docker. */
export const builderContainerFlags: LinuxkitFlags = {
  'builder-config': warnIgnored('value', 'lkt starts no BuildKit container'),
  'builder-image': warnIgnored('value', 'lkt starts no BuildKit container'),
  'builder-name': warnIgnored('value', 'lkt starts no BuildKit container'),
  builders: unsupported('value', 'name a BuildKit: --builder linux/arm64=tcp://HOST:PORT'),
};

/** LinuxKit's flags of every package command. */
const linuxkitPackageFlags: LinuxkitFlags = {
  'disable-cache': unsupported(
    'switch',
    'build with --no-cache, or write "disable-cache" in build.yml',
  ),
  'enable-cache': noop(),
  'force-dirty': unsupported('switch', 'print the tag with: lkt pkg show-tag --force-dirty'),
  'hash-commit': unsupported('value', 'check out the commit: lkt builds the files of the checkout'),
  'hash-path': unsupported('value', 'print the tag with: lkt pkg show-tag --hash-path'),
  network: unsupported('switch', 'write "network: true" in build.yml, which the hash then covers'),
  nonetwork: unsupported(
    'switch',
    'write "network: false" in build.yml, which the hash then covers',
  ),
  'registry-creds': unsupported('value', 'log in with lkt login'),
};

/** LinuxKit's flags of every package command, for those that build nothing. */
export const linuxkitNamingFlags: LinuxkitFlags = {
  ...linuxkitPackageFlags,
  'disable-cache': noop(),
  network: noop(),
  nonetwork: noop(),
};

/** LinuxKit's flags of every package command, for those that concern no package. */
export const ignoredPackageFlags: LinuxkitFlags = {
  ...Object.fromEntries(
    Object.entries(linuxkitPackageFlags).map(([name, { takesValue }]) => [
      name,
      noop(takesValue ? 'value' : 'switch'),
    ]),
  ),
  'build-yml': noop('value'),
  dev: noop(),
  hash: noop('value'),
  org: noop('value'),
  tag: noop('value'),
};

/** LinuxKit's flags of `pkg build` and `pkg push`. */
export const linuxkitBuildFlags: LinuxkitFlags = {
  ...builderContainerFlags,
  ...linuxkitPackageFlags,
  'builder-restart': warnIgnored('switch', 'lkt starts no BuildKit container'),
  'dry-run': unsupported('switch', 'print the names with: lkt pkg show-tag DIR'),
  'ignore-cached': noop(),
  'precache-images': noop(),
  'sbom-scanner': warnIgnored('value', 'lkt makes SBOMs itself'),
};

/** Returns oclif definitions of LinuxKit's flags, except those that the command defines itself. */
export function linuxkitDefinitions(
  own: LinuxkitFlags,
  flags: Readonly<Record<string, unknown>>,
): Interfaces.FlagInput {
  const foreign = Object.entries({ ...EVERYWHERE, ...own }).filter(([name]) => !(name in flags));
  return Object.fromEntries(
    foreign.map(([name, { takesValue }]) => [
      name,
      takesValue
        ? Flags.string({ hidden: true, multiple: true, multipleNonGreedy: true })
        : Flags.boolean({ hidden: true }),
    ]),
  );
}

/**
 * Rejects unsupported flags.
 * @returns the warnings for flags without effect
 * @throws LktError UNSUPPORTED
 */
export function checkLinuxkitFlags(
  own: LinuxkitFlags,
  flags: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>>,
): readonly string[] {
  const warnings: string[] = [];
  for (const [name, { effect, instead }] of Object.entries(own)) {
    if (name in flags || given[name] === undefined) continue;
    if (effect === 'unsupported')
      throw new LktError('UNSUPPORTED', `lkt does not support LinuxKit's option --${name}`, {
        fix: instead,
      });
    if (effect === 'warn') warnings.push(`--${name} has no effect: ${instead}`);
  }
  return warnings;
}

export function warn(reporter: Reporter, warnings: readonly string[]): void {
  for (const text of warnings) reporter.emit({ kind: 'warning', text });
}

/**
 * Rewrites LinuxKit's spelling of switches, `--force=true` and `--manifest=false`, to that of lkt.
 * Drops a switch that is set to its default.
 */
export function plainSwitches(
  words: readonly string[],
  flags: Readonly<Record<string, { readonly type: string; readonly allowNo?: boolean }>>,
): readonly string[] {
  const stop = words.indexOf('--');
  return words.flatMap((word, index) => {
    const [, name = '', value = ''] =
      /^--([a-z-]+)=(true|false|1|0)$/i.exec(stop === -1 || index < stop ? word : '') ?? [];
    const isNo = name.startsWith('no-') && flags[name] === undefined;
    const own = isNo ? name.slice('no-'.length) : name;
    const flag = flags[own];
    if (flag?.type !== 'boolean') return [word];
    if (/^(?:true|1)$/i.test(value) !== isNo) return [`--${own}`];
    return flag.allowNo === true ? [`--no-${own}`] : [];
  });
}
