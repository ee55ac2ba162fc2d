import { type Digest, LktError, silentReporter } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  parseIndex,
  parseReference,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import type { SignerId } from '@lkt/sign';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { buildPackages } from '../build/build.ts';
import { hasPlatform, storeName } from '../pins/check-pin.ts';
import { requireCommitted, targetReference, type TargetOptions } from '../push/push-plan.ts';
import type { Signing } from '../push/sign-images.ts';
import { readSources, type Sources } from '../sources/sources.ts';
import { renderTag } from '../pins/tag.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

export interface RebuildOptions extends Omit<TargetOptions, 'release'>, Signing {
  readonly store: Store;
  readonly build: BuildOptions;
  /** Where to push the attestations. The images must be there already. */
  readonly registry?: Registry | undefined;
}

/** A package that was rebuilt, with the identity that attests it. */
export interface AttestedRebuild {
  readonly item: Package;
  /** Name and tag. */
  readonly reference: string;
  /** Digest of the rebuilt index. */
  readonly digest: Digest;
  readonly platforms: readonly string[];
  readonly signer: SignerId;
  /** Number of new attestations; 0 if the same signer attested the rebuild before. */
  readonly made: number;
}

/**
 * Builds packages from their sources without the step cache, and signs statements that the builds
 * produced their images. Pinned dependencies are not rebuilt.
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
  const sources = await readSources(workspace, workspace.packages.values(), { signal });
  for (const item of items) requireCommitted(item, sources);
  const plans: RebuildPlan[] = [];
  for (const item of items) plans.push(await planRebuild(item, sources, options));
  const { packages } = await buildPackages(workspace, items, {
    ...build,
    force: true,
    noCache: true,
  });
  for (const { item } of packages) requireCommitted(item, sources);
  const rebuilt = plans.map((plan) => ({ ...plan, built: builtOf(packages, plan.item) }));
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
  sources: Sources,
  options: RebuildOptions,
): Promise<RebuildPlan> {
  const { store, registry, signal } = options;
  const target = targetReference(item, sources, options);
  const name = storeName(parseReference(item.name), renderTag(item.tag, sources.hash(item).hash));
  const index = await store.resolve(name);
  const local = index === undefined ? [] : parseIndex(await store.readBytes(index)).manifests;
  const remote = (await registry?.taggedImages(target, signal)) ?? [];
  const existing = [
    ...local.map((image) => ({ image, location: 'the store' })),
    ...remote.map((image) => ({ image, location: 'the registry' })),
  ];
  return { item, target, existing };
}

function builtOf(packages: readonly BuiltPackage[], item: Package): BuiltPackage {
  const built = packages.find((one) => one.item === item);
  if (built === undefined) throw new Error(`${item.name} was not built`);
  return built;
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
  const { store, registry, signer, signal, reporter = silentReporter } = options;
  const { collectFromRegistry, collectFromStore, pushSignatures, rebuildStatement, signImages } =
    await import('@lkt/sign');
  const { domain, path } = target;
  const repository = { domain, path };
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
  const id = `sign ${familiarReference(target)}`;
  reporter.emit({ kind: 'start', id, title: id });
  try {
    const images = await Promise.all(
      [...subjects.values()].map(async ({ subject, platforms: of }) => {
        const { digest } = subject;
        const local = await collectFromStore(store, digest);
        const there =
          registry === undefined
            ? []
            : (await collectFromRegistry(registry, { ...repository, digest }, signal)).items;
        const statement = rebuildStatement(
          { name: formatReference(repository), digest },
          { package: item.name, sourceHash: committed, platforms: of },
        );
        const existing = { items: [...local.items, ...there], unreadable: [] };
        return { subject, statements: [statement], existing };
      }),
    );
    const to = { name: repository, signer, signal, statementsOnly: true };
    const signed = await signImages(store, { images, ...to });
    if (registry !== undefined)
      for (const digest of subjects.keys())
        await pushSignatures(registry, store, repository, digest, signal);
    const made = signed.images.reduce((sum, { bundles }) => sum + bundles.length, 0);
    reporter.emit({ kind: 'done', id, cached: made === 0 });
    const reference = familiarReference(target);
    const { digest } = built.index;
    return { item, reference, digest, platforms, signer: signed.signer, made };
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    throw error;
  }
}

function platformOf({ platform }: Descriptor): string {
  if (platform === undefined) throw new Error('a built image has no platform');
  return formatPlatform(platform);
}
