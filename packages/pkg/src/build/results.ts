import { join } from 'node:path';
import { type Digest, isDigest, undefinedIf } from '@lkt/core';
import type { CheckReport } from '@lkt/rebuild';
import { type Descriptor, loadImage, MediaType, type Platform, type Store } from '@lkt/oci';

/** Increase it when checks find differences that earlier ones did not. */
const CHECK_EPOCH = 1;

/** The stored result of a build. */
export interface BuildResult {
  readonly image: Descriptor;
  /** The digest that it was pulled by; undefined if it was built here. */
  readonly pin: Digest | undefined;
  /** Its files in the store; undefined for a new result. */
  readonly paths?: readonly string[];
}

/**
 * Returns the stored result of a build, or undefined if the store lacks one of its blobs.
 * @throws DIGEST_MISMATCH for a damaged blob
 */
export async function readResult(
  store: Store,
  key: string,
  platform: Platform,
): Promise<BuildResult | undefined> {
  const path = resultPath(store, key);
  const [digest = '', pin = ''] = (store.sealed.read(path) ?? '').split(' ');
  if (!isDigest(digest)) return undefined;
  const found = await loadImage(store, digest, platform).catch(undefinedIf('NOT_FOUND'));
  if (found === undefined) return undefined;
  const { descriptor, manifest } = found;
  const blobs = [descriptor, manifest.config, ...manifest.layers];
  for (const { digest: blob } of blobs) if (!(await store.keep(blob))) return undefined;
  await store.use(path);
  const image = { ...descriptor, mediaType: MediaType.ociManifest };
  const paths = [path, ...blobs.map((blob) => store.blobPath(blob.digest))];
  return { image, pin: isDigest(pin) ? pin : undefined, paths };
}

/** Stores the result of a build. */
export async function writeResult(
  store: Store,
  key: string,
  { image: { digest }, pin }: BuildResult,
): Promise<void> {
  const path = resultPath(store, key);
  const text = pin === undefined ? digest : `${digest} ${pin}`;
  // A repeated build has the same result, and need not wait for the disk.
  if (store.sealed.read(path) === text && (await store.use(path))) return;
  await store.putSealed(path, text);
}

/**
 * Returns the stored check of an image; undefined if it has not been checked.
 * @param everyStep whether the check must cover steps that do not reach the image
 */
export async function readCheck(
  store: Store,
  key: string,
  image: Digest,
  everyStep: boolean,
): Promise<CheckReport | undefined> {
  const known = parseCheck(store, key);
  if (known?.first !== image || !known.reproducible) return undefined;
  const isEnough = !everyStep || known.differences.every(({ files }) => files.length > 0);
  return isEnough ? known : undefined;
}

/** Stores the check of a reproducible image as `checks/<build key>`. */
export async function writeCheck(store: Store, key: string, report: CheckReport): Promise<void> {
  if (!report.reproducible) return;
  await store.putSealed(checkPath(store, key), JSON.stringify({ epoch: CHECK_EPOCH, report }));
}

function checkPath(store: Store, key: string): string {
  return join(store.dir, 'checks', `${key}.json`);
}

function parseCheck(store: Store, key: string): CheckReport | undefined {
  const text = store.sealed.read(checkPath(store, key));
  if (text === undefined) return undefined;
  const { epoch, report } = JSON.parse(text) as { epoch?: unknown; report?: CheckReport };
  return epoch === CHECK_EPOCH ? report : undefined;
}

function resultPath(store: Store, key: string): string {
  return join(store.dir, 'results', key);
}
