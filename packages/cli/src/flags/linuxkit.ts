import { LktError, type Reporter } from '@lkt/core';
import { Flags } from './options.ts';

/** An option of LinuxKit's that does not do here what it does there; help does not show it. */
export interface LinuxkitFlag {
  readonly takesValue: boolean;
  /** `noop`: what it asks for is so in any case. `warn`: it changes nothing, and a warning says why. */
  readonly effect: 'noop' | 'unsupported' | 'warn';
  /** What there is to know instead. */
  readonly instead: string;
}

export type LinuxkitFlags = Readonly<Record<string, LinuxkitFlag>>;

type Kind = 'switch' | 'value';

/** It changes nothing, as what it asks for is so in any case. */
export function noop(kind: Kind = 'switch'): LinuxkitFlag {
  return { takesValue: kind === 'value', effect: 'noop', instead: '' };
}

/** It changes nothing, and a warning says why. */
export function warnIgnored(kind: Kind, instead: string): LinuxkitFlag {
  return { takesValue: kind === 'value', effect: 'warn', instead };
}

/** It is an error, which says what to do instead. */
export function unsupported(kind: Kind, instead: string): LinuxkitFlag {
  return { takesValue: kind === 'value', effect: 'unsupported', instead };
}

/** What LinuxKit takes with every command, and only some need here. */
const EVERYWHERE: LinuxkitFlags = {
  'cert-file': noop('value'),
  mirror: noop('value'),
};

/** What the builder of LinuxKit is asked for, which is BuildKit in a container of Docker. */
export const builderContainerFlags: LinuxkitFlags = {
  'builder-config': warnIgnored('value', 'nothing is built in a container of BuildKit'),
  'builder-image': warnIgnored('value', 'nothing is built in a container of BuildKit'),
  'builder-name': warnIgnored('value', 'nothing is built in a container of BuildKit'),
  builders: unsupported('value', 'name a BuildKit: --builder linux/arm64=tcp://HOST:PORT'),
};

/** What LinuxKit takes with every command about packages. */
export const linuxkitPackageFlags: LinuxkitFlags = {
  'disable-cache': unsupported(
    'switch',
    'build with --no-cache, or write "disable-cache" in build.yml',
  ),
  'enable-cache': noop(),
  'force-dirty': unsupported('switch', 'see what the tag would be: lkt pkg show-tag --force-dirty'),
  'hash-commit': unsupported('value', 'check the commit out: what is built is what is there'),
  'hash-path': unsupported('value', 'see what the tag would be: lkt pkg show-tag --hash-path'),
  network: unsupported('switch', 'write "network: true" in build.yml, which the hash then covers'),
  nonetwork: unsupported(
    'switch',
    'write "network: false" in build.yml, which the hash then covers',
  ),
  'registry-creds': unsupported('value', 'log in with docker, podman or skopeo'),
};

/** What LinuxKit's `pkg build` takes, and `pkg push` with it. */
export const linuxkitBuildFlags: LinuxkitFlags = {
  ...builderContainerFlags,
  ...linuxkitPackageFlags,
  'builder-restart': warnIgnored('switch', 'nothing is built in a container of BuildKit'),
  'dry-run': unsupported('switch', 'see the names that would be built: lkt pkg show-tag DIR'),
  'ignore-cached': noop(),
  'precache-images': noop(),
  'sbom-scanner': warnIgnored('value', 'lkt makes SBOMs itself'),
};

/** The options as oclif has them, without those that the command has itself. */
export function linuxkitDefinitions(
  own: LinuxkitFlags,
  flags: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
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
 * Refuses what is to be refused.
 * @returns what to say of the others
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
      throw new LktError('UNSUPPORTED', `--${name} is an option of LinuxKit that lkt has not`, {
        fix: instead,
      });
    if (effect === 'warn') warnings.push(`--${name} changes nothing: ${instead}`);
  }
  return warnings;
}

export function warn(reporter: Reporter, warnings: readonly string[]): void {
  for (const text of warnings) reporter.emit({ kind: 'warning', text });
}

/**
 * The words with LinuxKit's spelling of switches, `--force=true` and `--manifest=false`, in that of lkt; a switch that is
 * turned off is left out if that is what it is by default.
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
