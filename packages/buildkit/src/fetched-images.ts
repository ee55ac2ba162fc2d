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

/** The download of an ADD as an image for BuildKit: the step becomes a COPY from it. */
export interface FetchedImage {
  readonly step: CopyStep;
  /** Its name in the Dockerfile for BuildKit. */
  readonly name: string;
  readonly digest: Digest;
  /** The path to copy. */
  readonly path: string;
}

/**
 * Fetches missing files as the native engine does, so that BuildKit fetches nothing. Returns an
 * image for each.
 * @throws UNSUPPORTED for an archive that must be unpacked
 * @throws NOT_FOUND, NETWORK_FAILED, DIGEST_MISMATCH, GIT_FAILED if a download fails
 */
export async function fetchedImages(
  { plan }: RequestPlan,
  request: BuildRequest,
  around: BuildContext,
): Promise<readonly FetchedImage[]> {
  const { platform } = request;
  await fetchRemoteFiles(plan, request, around);
  const layers = await fetchGitFiles(plan, request.dockerfile, request.name, around);
  const images: FetchedImage[] = [];
  const add = async (step: CopyStep, layer: Layer, path: string): Promise<void> => {
    const { digest } = await writeImage(around.store, { config: {}, layers: [layer], platform });
    images.push({ step, name: `lkt-fetched-${images.length}`, digest, path });
  };
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    if (step.kind !== 'add') continue;
    const source = gitSource(step);
    const layer = source === undefined ? undefined : layers.get(gitKey(source));
    if (layer !== undefined) await add(step, layer, '/');
    const remote = remoteFile(step);
    if (remote === undefined) continue;
    if (step.unpack === true) await rejectArchive(remote, request, around);
    await add(step, await layerOf(remote, around), `/${remote.name}`);
  }
  return images;
}

/**
 * Rejects `--unpack` of a download: BuildKit's COPY does not unpack, and its ADD only files of the
 * context.
 */
async function rejectArchive(
  { source, digest }: RemoteFile,
  { dockerfile }: BuildRequest,
  { store, signal }: BuildContext,
): Promise<void> {
  if (!(await isArchive(store.blobPath(digest), { signal }))) return;
  throw sourceError(
    'UNSUPPORTED',
    dockerfile,
    source.position,
    'ADD --unpack of a URL is not supported with BuildKit',
    { length: source.length, fix: 'put the archive into the package, or build without --builder' },
  );
}

/** Returns the file as a layer of the native engine. */
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
