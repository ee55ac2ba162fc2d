import { type Digest, type LktError, mapConcurrent } from '@lkt/core';
import { DOCKER_HUB, parseReference, type Reference } from '@lkt/oci';
import { Build } from '../build/build.ts';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { checkOther, hasNamed } from '../build/other-images.ts';
import { checkPin, referenceError, type ReferenceProblem } from './check-pin.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { DEFAULT_PLATFORMS } from '../workspace/platforms.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A pull mostly waits for its registry and for the disk. */
const IMAGES_AT_ONCE = 8;

/** A reference to an image from outside the package graph, such as from an image config. */
export interface ImageQuery {
  /** The reference as written; the key in the result. */
  readonly text: string;
  /** Default: `text`, parsed. */
  readonly reference?: Reference;
  /** Absolute directory of a package, for `@pkg:DIR`: means its current image. */
  readonly packageDir?: string;
  /** Creates the error for a problem, at the position of the reference. */
  readonly error?: (problem: ReferenceProblem) => LktError;
}

/**
 * Returns the digests of references, keyed by their text. Builds packages of the workspace and
 * checks their pins. Any other image must be in the store or come from `fetchImage`.
 * @throws PIN_MISSING, PIN_STALE, NOT_FOUND
 * @throws LktError as `buildPackages` does
 * @example
 * ```ts
 * const queries = [{ text: '@pkg:sshd', packageDir: '/src/pkg/sshd' }];
 * const { digests } = await resolveImages(workspace, queries, options);
 * const digest = digests.get('@pkg:sshd');
 * ```
 */
export async function resolveImages(
  workspace: Workspace,
  queries: readonly ImageQuery[],
  options: BuildOptions,
): Promise<{
  readonly digests: ReadonlyMap<string, Digest>;
  readonly packages: readonly BuiltPackage[];
  /** The source hashes of all packages that were read. */
  readonly hashes: ReadonlyMap<Package, SourceHash>;
}> {
  // A query for `@pkg:` has no reference.
  const wanted = await Promise.all(
    queries.map(async (query) => {
      if (query.packageDir !== undefined)
        return { query, reference: undefined, item: await workspace.packageAt(query.packageDir) };
      const reference = query.reference ?? parseReference(query.text);
      const isStored = await isStoredImage(reference, options);
      return { query, reference, item: isStored ? undefined : workspace.find(reference) };
    }),
  );
  const { platforms = DEFAULT_PLATFORMS, signal } = options;
  // Report problems that need no build before building.
  await mapConcurrent(
    wanted,
    async ({ query, reference, item }) => {
      if (reference === undefined || (item !== undefined && reference.digest !== undefined)) return;
      fail(query, await checkOther(reference, platforms, { ...options, workspace }));
    },
    { concurrency: IMAGES_AT_ONCE, signal },
  );
  const targets = new Set(wanted.flatMap(({ item }) => item ?? []));
  const pins = wanted.flatMap(({ reference, item }) => (item && reference) ?? []);
  const build = await Build.start(workspace, [...targets], { ...options, pins });
  const packages = await build.all();
  const built = new Map<Package, BuiltPackage>(packages.map((one) => [one.item, one]));
  const digests = new Map<string, Digest>();
  for (const { query, reference, item } of wanted) {
    const found = item && built.get(item);
    if (found !== undefined && reference !== undefined)
      fail(query, await checkPin(reference, found, options.store));
    const digest = reference?.digest ?? found?.index.digest;
    if (digest !== undefined) digests.set(query.text, digest);
  }
  return { digests, packages, hashes: build.hashes };
}

/**
 * Reports whether a reference means an image of the store, even if the workspace has a package of
 * this name: it names Docker Hub, and the store has the digest under this name.
 */
async function isStoredImage(
  { domain, path, digest }: Reference,
  { store, platforms = DEFAULT_PLATFORMS }: BuildOptions,
): Promise<boolean> {
  if (domain !== DOCKER_HUB || digest === undefined) return false;
  return hasNamed(store, { domain, path, digest }, platforms);
}

function fail(query: ImageQuery, problem: ReferenceProblem | undefined): void {
  if (problem !== undefined) throw query.error?.(problem) ?? referenceError(problem);
}
