import { basename, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { BootFiles, BootMedium, PublishedPort } from '@lkt/machine';
import type { ServicePort } from '@lkt/image';
import {
  type BootedBuildFlags,
  bootedBuildFlags,
  type BuildFlags,
  buildFlagsOf,
} from '../flags/build.ts';
import { outputOf } from '../flags/output.ts';
import { buildConfigs, type DevelopmentBuild, type ImageSummary } from '../session/image-build.ts';
import type { Session } from '../session/session.ts';

/** An image to boot. */
export interface BootableImage {
  /** Name of the machine. */
  readonly name: string;
  /** Absolute path of its files, without their endings. */
  readonly prefix: string;
  /** The build of the configs; undefined for an image that was built before. */
  readonly built?: ImageSummary;
}

/** Reports whether words of a command line name configs instead of an image. */
export function namesConfigs(words: readonly string[]): boolean {
  return words.every((word) => /\.ya?ml$/.test(word));
}

/**
 * Builds the image of configs, as `lkt build --dir out` does.
 * @param changes flags of `lkt build` beyond those of the command line
 */
export async function buildBootable(
  session: Session,
  configs: readonly string[],
  flags: BootedBuildFlags,
  changes: Partial<BuildFlags> = {},
  options: DevelopmentBuild = {},
): Promise<BootableImage & { readonly built: ImageSummary }> {
  const all = { ...buildFlagsOf(flags), ...changes };
  const built = await buildConfigs(session, configs, all, options);
  const { outDir, name } = outputOf(all, configs.at(-1) ?? '', session.environment.cwd);
  return { name, prefix: resolve(outDir, name), built };
}

/**
 * Returns an image that was built before.
 * @throws LktError USAGE_INVALID for a flag that only a build has
 */
export function builtBefore(
  session: Session,
  prefix: string,
  flags: Readonly<Record<string, unknown>>,
): BootableImage {
  const given = Object.keys(bootedBuildFlags).find(
    (name) => flags[name] !== undefined && flags[name] !== false,
  );
  if (given !== undefined)
    throw new LktError('USAGE_INVALID', `--${given} applies only to a config`, {
      fix: `leave it out, or name the config: lkt run images/${basename(prefix)}.yml`,
    });
  return { name: basename(prefix), prefix: resolve(session.environment.cwd, prefix) };
}

/**
 * Returns the ports to forward for services: each to a free port of this machine, except those that
 * are forwarded already.
 */
export function servicePublications(
  ports: readonly ServicePort[],
  published: readonly PublishedPort[],
): readonly PublishedPort[] {
  const isPublished = ({ port, protocol }: ServicePort): boolean =>
    published.some((one) => one.guestPort === port && one.protocol === protocol);
  return ports
    .filter((one) => !isPublished(one))
    .map(({ port, protocol }) => ({
      address: '127.0.0.1',
      hostPort: 0,
      guestPort: port,
      protocol,
    }));
}

/** Returns the MiB that the image needs to boot. */
export async function minimumMemory(files: BootFiles | BootMedium): Promise<number> {
  if ('kind' in files || files.initrd === undefined) return 0;
  const { readInitrdInfo } = await import('@lkt/image');
  return (await readInitrdInfo(files.initrd))?.minimumMemory ?? 0;
}
