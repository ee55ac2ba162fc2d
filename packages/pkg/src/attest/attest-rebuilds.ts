import { type Digest, LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  type Reference,
  writeIndex,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import type { BuiltPackage } from '../build/built-package.ts';
import { hasPlatform } from '../pins/check-pin.ts';
import { buildCommitted, readCommitted, storedIndex } from '../push/push-plan.ts';
import { targetReference } from '../pins/tag.ts';
import type { PackageSignOptions } from '../push/sign.ts';
import { type SignedImages, signStatements } from '../push/sign-images.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

export interface RebuildOptions extends PackageSignOptions {
  /** Where to push the attestations. The images must be there already. */
  readonly registry?: Registry | undefined;
}

/** A package that was rebuilt, with the identity that attests it. */
export interface AttestedRebuild extends SignedImages {
  readonly item: Package;
  /** Name and tag. */
  readonly reference: string;
  /** Digest of the rebuilt index. */
  readonly digest: Digest;
  readonly platforms: readonly string[];
}

/**
 * Builds packages from their sources without known steps and cache mounts, and signs statements
 * that the builds produced their images. Pinned dependencies are not rebuilt.
 *
 * If the store or the registry has an image of the same sources, the rebuilt image must be equal.
 * Otherwise nothing is signed.
 * @throws NOT_COMMITTED if the sources differ from the commit
 * @throws NOT_REPRODUCIBLE if the rebuilt image differs from the existing one
 * @throws NOT_FOUND if the registry lacks the image
 * @throws LktError as `buildPackages` and the signer do
 */
export async function attestRebuilds(
  workspace: Workspace,
  items: readonly Package[],
  options: RebuildOptions,
): Promise<readonly AttestedRebuild[]> {
  const { build, signal } = options;
  const sources = await readCommitted(workspace, items, signal, workspace.packages.values());
  const plans: RebuildPlan[] = [];
  for (const item of items) plans.push(await planRebuild(item, sources.hash(item), options));
  const anew = { ...build, force: true, noCache: true, emptyCaches: true };
  const packages = await buildCommitted(workspace, items, sources, anew);
  const rebuilt = plans.flatMap((plan) => {
    const built = packages.find((one) => one.item === plan.item);
    return built === undefined ? [] : [{ ...plan, built }];
  });
  for (const plan of rebuilt) requireEqualImages(plan);
  for (const plan of rebuilt) await requirePushed(plan, options);
  const results: AttestedRebuild[] = [];
  for (const plan of rebuilt) results.push(await attest(plan, options));
  return results;
}

interface RebuildPlan {
  readonly item: Package;
  readonly target: Reference & { readonly tag: string };
  /** Existing images of the same sources, and where they are. */
  readonly existing: readonly { readonly image: Descriptor; readonly location: string }[];
}

interface Rebuilt extends RebuildPlan {
  readonly built: BuiltPackage;
}

async function planRebuild(
  item: Package,
  hash: SourceHash,
  options: RebuildOptions,
): Promise<RebuildPlan> {
  const { store, registry, signal } = options;
  const target = targetReference(item, hash, options);
  const local = (await storedIndex(item, hash, store))?.images ?? [];
  const remote = (await registry?.taggedImages(target, signal)) ?? [];
  const existing = [
    ...local.map((image) => ({ image, location: 'the store' })),
    ...remote.map((image) => ({ image, location: 'the registry' })),
  ];
  return { item, target, existing };
}

function requireEqualImages({ item, target, existing, built }: Rebuilt): void {
  for (const { image, location } of existing) {
    const { platform } = image;
    if (platform === undefined) continue;
    const own = built.images.find((one) => hasPlatform(one, platform));
    if (own === undefined || own.digest === image.digest) continue;
    throw new LktError(
      'NOT_REPRODUCIBLE',
      `${familiarReference(target)} for ${formatPlatform(platform)} is ${image.digest} in ${location}, but rebuilding ${item.name} produced ${own.digest}; nothing was signed`,
      { fix: 'show the differences: lkt pkg build --check DIR' },
    );
  }
}

async function requirePushed(
  { target: { domain, path }, built }: Rebuilt,
  { registry, signal }: RebuildOptions,
): Promise<void> {
  const { digest } = built.index;
  try {
    await registry?.resolve({ domain, path, digest }, signal);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
    throw new LktError(
      error.code,
      `the registry lacks the rebuilt image ${formatReference({ domain, path, digest })}; nothing was signed`,
      { cause: error, fix: 'push it first: lkt pkg push' },
    );
  }
}

async function attest(plan: Rebuilt, options: RebuildOptions): Promise<AttestedRebuild> {
  const { item, built, target } = plan;
  const { store, registry, signal } = options;
  const { pushSignatures, rebuildStatement } = await import('@lkt/sign');
  const { domain, path } = target;
  const name = formatReference({ domain, path });
  const { committed } = built.hash;
  if (committed === undefined) throw new Error(`${item.name} has no hash`);
  const platforms = built.images.map(platformOf);
  // A pin may name the index of all platforms, or that of a machine which builds for one platform.
  const subjects = new Map([[built.index.digest, { subject: built.index, platforms }]]);
  for (const image of built.images) {
    const subject = await writeIndex(store, [image]);
    if (!subjects.has(subject.digest))
      subjects.set(subject.digest, { subject, platforms: [platformOf(image)] });
  }
  const images = [...subjects.values()].map(({ subject, platforms: of }) => {
    const rebuild = { package: item.name, sourceHash: committed, platforms: of };
    return { subject, statements: [rebuildStatement({ name, digest: subject.digest }, rebuild)] };
  });
  const to = { ...options, registry, target, statementsOnly: true };
  const signed = await signStatements(images, to);
  if (registry !== undefined)
    for (const digest of subjects.keys())
      await pushSignatures(registry, store, { domain, path }, digest, signal);
  const reference = familiarReference(target);
  return { item, reference, digest: built.index.digest, platforms, ...signed };
}

function platformOf({ platform }: Descriptor): string {
  if (platform === undefined) throw new Error('a built image has no platform');
  return formatPlatform(platform);
}
