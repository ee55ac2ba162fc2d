import { type Digest } from '@lkt/core';
import { type Layer, writeImage } from '@lkt/oci';
import type { CopyStep } from '../dockerfile/steps.ts';
import type { BuildContext, BuildRequest } from '../engine.ts';
import { fetchGitFiles, gitKey } from '../git/fetch-git.ts';
import { gitSource } from '../git/git-source.ts';
import type { RequestPlan } from '../request-plan.ts';

/** What an ADD takes from elsewhere, as an image that BuildKit gets: the step is a COPY from it. */
export interface FetchedImage {
  readonly step: CopyStep;
  /** By which the Dockerfile that BuildKit gets names it. */
  readonly name: string;
  readonly digest: Digest;
  /** What of it is copied. */
  readonly path: string;
}

/** Fetches what is not in the store, as the native engine does, so that BuildKit fetches nothing. */
export async function fetchedImages(
  { plan }: RequestPlan,
  request: BuildRequest,
  around: BuildContext,
): Promise<readonly FetchedImage[]> {
  const layers = await fetchGitFiles(plan, request.dockerfile, request.name, around);
  const images: FetchedImage[] = [];
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    if (step.kind !== 'add') continue;
    const source = gitSource(step);
    const layer = source === undefined ? undefined : layers.get(gitKey(source));
    if (layer === undefined) continue;
    const digest = await imageOf(layer, request, around);
    images.push({ step, name: `lkt-fetched-${images.length}`, digest, path: '/' });
  }
  return images;
}

async function imageOf(
  layer: Layer,
  { platform }: BuildRequest,
  { store }: BuildContext,
): Promise<Digest> {
  return (await writeImage(store, { config: {}, layers: [layer], platform })).digest;
}
