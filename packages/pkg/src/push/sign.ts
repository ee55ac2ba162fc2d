import type { Digest } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  isIndexType,
  parseIndex,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import type { BuildOptions } from '../build/build-options.ts';
import { buildCommitted, planPush, readCommitted } from './push-plan.ts';
import { type TargetOptions } from '../pins/tag.ts';
import {
  type SignedImages,
  type Signing,
  type SignOptions,
  signWithDocuments,
} from './sign-images.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

export interface PackageSignOptions extends Omit<TargetOptions, 'release'>, Signing {
  readonly store: Store;
  readonly build: BuildOptions;
}

/** A package that was signed in a registry. */
export interface SignedReference extends SignedImages {
  /** Name and tag. */
  readonly reference: string;
  readonly digest: Digest;
  /** All signed manifests: indexes, and the images of each platform. */
  readonly subjects: readonly Digest[];
}

/**
 * Signs packages in the store under their names in the target registry. Builds those that are
 * missing. `pushPackages` later pushes the signatures.
 * @throws NOT_COMMITTED
 * @throws LktError as `buildPackages` and the signer do
 */
export async function signPackages(
  workspace: Workspace,
  items: readonly Package[],
  options: PackageSignOptions,
): Promise<readonly SignedReference[]> {
  const all = workspace.packages.values();
  const sources = await readCommitted(workspace, items, options.signal, all);
  await buildCommitted(workspace, items, sources, { ...options.build, builtHere: true });
  const results: SignedReference[] = [];
  for (const item of items) {
    const { target, indexes, images } = await planPush(item, sources.hash(item), options);
    const reference = familiarReference(target);
    const subjects = [...indexes, ...images];
    const signed = await signWithDocuments(subjects, { ...options, registry: undefined, target });
    const [{ digest }] = indexes;
    results.push({ reference, digest, subjects: digests(subjects), ...signed });
  }
  return results;
}

/**
 * Signs an image in a registry, or an index with all its images, and pushes the signatures. Of the
 * documents beside it, attests only those that builds on this machine wrote.
 * @throws NOT_FOUND
 * @throws LktError as the signer and the registry do
 */
export async function signReference(
  reference: Reference,
  options: Pick<SignOptions, 'store' | 'signer' | 'reporter' | 'signal'> & {
    readonly registry: Registry;
  },
): Promise<SignedReference> {
  const { store, registry, signal } = options;
  const { domain, path } = reference;
  const repository = { domain, path };
  const { descriptor } = await registry.fetchManifest(reference, signal);
  const subjects = await withImages(registry, repository, descriptor, signal);
  const signed = await signWithDocuments(subjects, { ...options, target: reference });
  const { pushSignatures } = await import('@lkt/sign');
  for (const { digest } of subjects)
    await pushSignatures(registry, store, repository, digest, signal);
  const name = familiarReference(reference);
  return { reference: name, digest: descriptor.digest, subjects: digests(subjects), ...signed };
}

const MAX_DEPTH = 3;

/** Returns a manifest and, if it is an index, the manifests in it. */
async function withImages(
  registry: Registry,
  repository: Reference,
  { mediaType, digest, size }: Descriptor,
  signal: AbortSignal | undefined,
  depth: number = MAX_DEPTH,
  seen: Set<string> = new Set(),
): Promise<readonly Descriptor[]> {
  const key = `${digest} ${depth}`;
  if (seen.has(key)) return [];
  seen.add(key);
  const found: Descriptor[] = [{ mediaType, digest, size }];
  if (!isIndexType(mediaType) || depth === 0) return found;
  const { bytes } = await registry.fetchManifest({ ...repository, digest }, signal);
  for (const item of parseIndex(bytes).manifests)
    found.push(...(await withImages(registry, repository, item, signal, depth - 1, seen)));
  return found;
}

function digests(subjects: readonly Descriptor[]): readonly Digest[] {
  return [...new Set(subjects.map(({ digest }) => digest))];
}
