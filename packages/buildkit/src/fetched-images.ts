import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type Digest, sourceError } from '@lkt/core';
import { type Layer, SOURCE_DATE_EPOCH, toRaw, writeImage, writeLayer } from '@lkt/oci';
import {
  type BuildContext,
  type BuildRequest,
  fetchGitFiles,
  fetchRemoteFiles,
  gitKey,
  isArchive,
  type RequestPlan,
  StepCache,
} from '@lkt/builder';
import { type CopyStep, gitSource, type RemoteFile, remoteFile } from '@lkt/dockerfile';

/** What an ADD takes from elsewhere, as an image that BuildKit gets: the step is a COPY from it. */
export interface FetchedImage {
  readonly step: CopyStep;
  /** By which the Dockerfile that BuildKit gets names it. */
  readonly name: string;
  readonly digest: Digest;
  /** What of it is copied. */
  readonly path: string;
}

/**
 * Fetches what is not in the store, as the native engine does, so that BuildKit fetches nothing.
 * @throws LktError what fetching throws; UNSUPPORTED for an archive that has to be unpacked
 */
export async function fetchedImages(
  { plan }: RequestPlan,
  request: BuildRequest,
  around: BuildContext,
): Promise<readonly FetchedImage[]> {
  await fetchRemoteFiles(plan, request, around);
  const layers = await fetchGitFiles(plan, request.dockerfile, request.name, around);
  const images: FetchedImage[] = [];
  const add = async (step: CopyStep, layer: Layer, path: string): Promise<void> => {
    const digest = await imageOf(layer, request, around);
    images.push({ step, name: `lkt-fetched-${images.length}`, digest, path });
  };
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    if (step.kind !== 'add') continue;
    const source = gitSource(step);
    const layer = source === undefined ? undefined : layers.get(gitKey(source));
    if (layer !== undefined) await add(step, layer, '/');
    const remote = remoteFile(step);
    if (remote === undefined) continue;
    if (step.unpack === true) await refuseArchive(remote, request, around);
    await add(step, await layerOf(remote, around), `/${remote.name}`);
  }
  return images;
}

/** BuildKit's COPY unpacks nothing, and its ADD only what is in the context. */
async function refuseArchive(
  { source, digest }: RemoteFile,
  { dockerfile }: BuildRequest,
  { store, signal }: BuildContext,
): Promise<void> {
  if (!(await isArchive(store.blobPath(digest), { signal }))) return;
  throw sourceError(
    'UNSUPPORTED',
    dockerfile,
    source.position,
    'a BuildKit is not given archives from addresses that have to be unpacked',
    { length: source.length, fix: 'put the archive into the package, or build without --builder' },
  );
}

/** The file as the native engine adds it. */
async function layerOf({ digest, name }: RemoteFile, around: BuildContext): Promise<Layer> {
  const { store, signal } = around;
  const cache = new StepCache(store);
  const key = cache.key({ kind: 'http-file', digest, name });
  const known = await cache.record(key);
  if (known?.descriptor != null && (await store.keep(known.descriptor.digest)))
    return { diffId: known.diffId, descriptor: known.descriptor };
  const path = store.blobPath(digest);
  const entry = {
    path: toRaw(name),
    type: 'file' as const,
    mode: 0o600,
    uid: 0,
    gid: 0,
    mtime: SOURCE_DATE_EPOCH,
    size: (await stat(path)).size,
    content: createReadStream(path),
  };
  const options = { compression: 'none' as const, signal };
  const layer = await writeLayer(store, [entry], options);
  await cache.store(key, layer);
  return layer;
}

async function imageOf(
  layer: Layer,
  { platform }: BuildRequest,
  { store }: BuildContext,
): Promise<Digest> {
  return (await writeImage(store, { config: {}, layers: [layer], platform })).digest;
}
