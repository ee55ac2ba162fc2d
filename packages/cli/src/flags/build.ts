import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { buildAuditFlags } from './audit.ts';
import { diskFlags } from './disk.ts';
import {
  Flags,
  type FlagValues,
  grouped,
  type ParsedFlags,
  switchFlag,
  valueFlag,
} from './options.ts';
import { compressorFlags, outputFlags, sbomFlags } from './output.ts';
import { builderFlags, packageSourceFlags } from './package.ts';
import { imageArchFlag } from './platform.ts';
import { pullFlags } from './registry.ts';
import { timelineFlag } from '../session/timeline.ts';
import { setFlags } from './set.ts';
import { policyFoundFlag } from './trust.ts';

/** The flags for what a build accepts. */
const strictnessFlags = {
  locked: switchFlag('reject tags, and packages named by directory', {
    helpGroup: 'SIGNATURE',
  }),
  ...policyFoundFlag,
};

/** The flags of `lkt build`. */
export const buildFlags = {
  ...builderFlags,
  ...buildAuditFlags,
  ...packageSourceFlags,
  ...pullFlags,
  ...setFlags,
  'dry-run': switchFlag('print the merged config, and build nothing'),
  'input-tar': Flags.string({ hidden: true }),
  locked: strictnessFlags.locked,
  'no-cached-segments': switchFlag('reuse no cached parts of the image'),
  pin: switchFlag('first write digests into x.lock.yml beside x.yml', {
    helpGroup: 'SIGNATURE',
    exclusive: ['dry-run', 'locked'],
  }),
  ...policyFoundFlag,
  ...outputFlags,
  ...diskFlags,
  ...grouped('OUTPUT', imageArchFlag),
  ...compressorFlags,
  ...sbomFlags,
  ...grouped('OUTPUT', timelineFlag),
};

export type BuildFlags = ParsedFlags<typeof buildFlags>;

/** The flags of commands that build an image in order to boot it. */
export const bootedBuildFlags = {
  dir: valueFlag('DIR', 'directory of the built image; default: out', { helpGroup: 'BUILD' }),
  ...grouped('BUILD', setFlags),
  ...builderFlags,
  ...packageSourceFlags,
  ...pullFlags,
  ...strictnessFlags,
};

export type BootedBuildFlags = FlagValues<typeof bootedBuildFlags>;

/** Returns the flags of `lkt build` for an image to boot, with their defaults. */
export function buildFlagsOf(flags: BootedBuildFlags): BuildFlags {
  const given = Object.keys(bootedBuildFlags).map((name) => [
    name,
    flags[name as keyof BootedBuildFlags],
  ]);
  const defaults = { audit: true, arch: 'amd64', compressor: 'zstd', dir: 'out' };
  const set = Object.entries(Object.fromEntries(given) as BootedBuildFlags).filter(
    ([, value]) => value !== undefined,
  );
  return { ...defaults, ...Object.fromEntries(set) } as BuildFlags;
}

/**
 * Rejects flags that contradict each other.
 * @throws LktError USAGE_INVALID
 */
export function requireConsistent(
  { audit, strict, o, 'input-tar': input }: BuildFlags,
  cwd: string,
): void {
  if (!audit && strict)
    throw new LktError('USAGE_INVALID', '--strict and --no-audit exclude each other');
  if (input !== undefined && o !== undefined && resolve(cwd, input) === resolve(cwd, o))
    throw new LktError('USAGE_INVALID', '--input-tar and --o are the same file', {
      fix: 'name another file to write',
    });
}
