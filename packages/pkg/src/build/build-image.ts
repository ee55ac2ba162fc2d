import { availableParallelism } from 'node:os';
import { changedFile } from '@lkt/builder/inputs';
import type { BuildRequest } from '@lkt/builder';
import type { CheckReport } from '@lkt/rebuild';
import type { Descriptor } from '@lkt/oci';
import type { BuildTools } from './build-options.ts';
import { buildDebianImage } from '../debian/debian-package.ts';
import { prefetchBases } from './prefetch-bases.ts';
import type { DockerfileBuild, PlannedImage } from './plan-image.ts';
import { secretsFor } from '../build-yml/secrets.ts';
import type { Package } from '../workspace/workspace.ts';

/**
 * Builds an image.
 * @param noCache ignores cached steps
 * @throws any error of the engine; IO_FAILED if a file of the context changed
 */
export async function buildImage(
  item: Package,
  { build }: PlannedImage,
  tools: BuildTools,
  noCache: boolean,
): Promise<Descriptor> {
  if (build.kind === 'debian')
    return buildDebianImage(build.image, { ...tools, reporter: build.reporter });
  const { context, tree } = build;
  const request = startRequest(item, build, tools);
  const stop = new AbortController();
  void prefetchBases(context.store, request.bases, request.platform, stop.signal);
  const descriptor = await tools.engine
    .build({ ...request, noCache: noCache || item.disableCache }, context)
    .catch((error: unknown) => {
      stop.abort();
      throw error;
    });
  // A file that changed during the build makes the key wrong.
  const changed = tree.changed();
  if (changed !== undefined) throw changedFile(changed);
  return descriptor;
}

/**
 * Builds an image again and compares.
 * @param builtAt time of the first build in milliseconds, if it just ran
 */
export async function checkImage(
  item: Package,
  { build }: PlannedImage,
  tools: BuildTools,
  first: { readonly image: Descriptor; readonly builtAt: number | undefined },
): Promise<CheckReport> {
  const { checkBuild, compareImages } = await import('@lkt/rebuild');
  if (build.kind === 'debian') {
    const again = await buildDebianImage(build.image, { ...tools, reporter: build.reporter });
    return compareImages(first.image, again, tools);
  }
  const { engine, workerPool } = tools;
  if (workerPool === undefined) throw new Error('a build without "check" has no workers for it');
  return checkBuild(startRequest(item, build, tools), build.context, {
    engine,
    workerPool,
    everyStep: tools.checkEveryStep,
    firstImage: first.image,
    builtAt: first.builtAt,
  });
}

/**
 * Completes a request when its build starts: only then the number of free processors is known, and
 * secrets are needed.
 */
function startRequest(
  item: Package,
  { request, dockerfile }: DockerfileBuild,
  { builds, run }: BuildTools,
): BuildRequest {
  const secrets = secretsFor(item, dockerfile, run?.secrets ?? new Map());
  const cpus = Math.max(1, Math.floor(availableParallelism() / builds.inUse));
  return { ...request, secrets, cpus };
}
