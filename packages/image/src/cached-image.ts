import { dirname } from 'node:path';
import type { SealedFiles } from '@lkt/oci/files';
import { findResult } from '@lkt/pkg/action-cache';
import type { BuiltImage } from './built-image.ts';
import { KnownFiles } from './output/known-files.ts';

/** The result of `buildImage` as stored in the action cache. */
export interface CachedImage extends Pick<
  BuiltImage,
  | 'files'
  | 'minimumMemory'
  | 'policies'
  | 'trust'
  | 'audit'
  | 'warnings'
  | 'allowances'
  | 'services'
  | 'ports'
> {
  /** Names of the packages in the image. */
  readonly packages: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

/** Returns the part of a result that the action cache keeps. */
export function toCachedImage(image: BuiltImage): CachedImage {
  const { files, minimumMemory, policies, trust, audit, warnings, allowances, services, ports } =
    image;
  return {
    packages: image.packages.map(({ item }) => item.name),
    files,
    minimumMemory,
    policies,
    trust,
    variables: Object.fromEntries(image.variables),
    audit,
    warnings,
    allowances,
    services,
    ports,
  };
}

/**
 * Returns the cached result of an image build if its inputs are unchanged and every output still
 * has its digest. An output is read unless its inode, size and times are known. A hit sets the
 * modification times of the outputs to now, as a build does.
 * @param sealed files of the store
 * @param path the entry of the action cache
 * @param env the environment of the build
 * @param now milliseconds since 1970, compared with the expiry of the audit
 */
export async function findCachedImage(
  sealed: SealedFiles,
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  now: number,
  signal?: AbortSignal,
): Promise<CachedImage | undefined> {
  const image = await findResult<CachedImage>(sealed.read(path), env);
  if (image === undefined || now >= (image.audit?.until ?? Infinity)) return undefined;
  const known = new KnownFiles(dirname(path), sealed);
  const matches = image.files.map(async (file) => known.matches(file.path, file, signal));
  return (await Promise.all(matches)).includes(false) ? undefined : image;
}
