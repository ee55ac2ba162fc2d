import { type Digest, type Reporter, reportStep, silentReporter } from '@lkt/core';
import { type Descriptor, familiarReference, type Reference, type Store } from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import type { SignerId } from '@lkt/sign';
import type { BuildOptions } from '../build/build-options.ts';
import { buildCommitted, planPush, type PushPlan, readCommitted } from './push-plan.ts';
import type { TargetOptions } from '../pins/tag.ts';
import type { PackageManifest } from './manifest.ts';
import { type Signing, signWithDocuments } from './sign-images.ts';
import { compareByArch } from '../pins/check-pin.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

export interface PackagePushOptions extends TargetOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** Without it, nothing is built: the images must be in the store. */
  readonly build: BuildOptions | undefined;
  /**
   * Whether to set the tag of the sources; default: true. Tags of single platforms are always set.
   */
  readonly manifest?: boolean;
  /** Replace other images under the same tags. Does not apply to release tags. */
  readonly replace?: boolean;
  /** Without it, nothing is signed. Existing signatures in the store are pushed in any case. */
  readonly signing?: Signing | undefined;
  readonly reporter?: Reporter | undefined;
}

/** A package that was pushed: its images, and what was sent. */
export interface PushedPackage extends Omit<PackageManifest, 'platforms'> {
  /** The index of the images in the store; pins name its digest. */
  readonly index: Digest;
  readonly images: readonly Descriptor[];
  readonly tags: readonly string[];
  /** Bytes of blobs that were sent. */
  readonly bytes: number;
}

/**
 * Pushes packages to a registry, and signs them first if `signing` is set. Sends images, then their
 * referrers, and sets tags last, so that everything a tag names is complete. Skips content that the
 * registry has, and mounts blobs from repositories of other packages.
 *
 * The sources must be committed, because the tag names their hash.
 * @throws NOT_COMMITTED
 * @throws NOT_FOUND if `build` is undefined and the store lacks an image
 * @throws TAG_TAKEN before anything is sent
 * @throws LktError as building and the registry do
 * @example
 * ```ts
 * const options = { store, registry, build, release: 'v1.2', signing: { signer } };
 * const [pushed] = await pushPackages(workspace, [workspace.get('lkt/sshd')], options);
 * console.log(pushed?.reference, pushed?.digest);
 * ```
 */
export async function pushPackages(
  workspace: Workspace,
  items: readonly Package[],
  options: PackagePushOptions,
): Promise<readonly PushedPackage[]> {
  const { build, signal } = options;
  const all = workspace.packages.values();
  const sources = await readCommitted(workspace, items, signal, all);
  const built =
    build === undefined
      ? []
      : await buildCommitted(workspace, items, sources, { ...build, builtHere: true });
  const plans: PushPlan[] = [];
  for (const item of items) plans.push(await planPush(item, sources.hash(item), options));
  for (const plan of plans) await requireUnusedTags(plan, options);
  const pushed: PushedPackage[] = [];
  // Push used packages first, so that their blobs can be mounted.
  const place = new Map(built.map(({ item }, index) => [item, index] as const));
  const sorted = plans.toSorted((a, b) => (place.get(a.item) ?? 0) - (place.get(b.item) ?? 0));
  for (const plan of sorted) pushed.push(await push(plan, options));
  return items.flatMap((item) => pushed.find((one) => one.item === item) ?? []);
}

/** Fails before anything is sent if a tag is taken. */
async function requireUnusedTags(
  { item, target, images }: PushPlan,
  { registry, manifest = true, replace, release, signal }: PackagePushOptions,
): Promise<void> {
  const options = { dryRun: true, signal };
  const merge = { ...options, compare: compareByArch(item), replace };
  const { descriptor } = await registry.mergeIndex(target, images, merge);
  if (manifest && release !== undefined)
    await registry.tagManifest({ ...target, tag: release }, descriptor, options);
}

async function push(
  { item, target, indexes, single, images }: PushPlan,
  options: PackagePushOptions,
): Promise<PushedPackage> {
  const { store, registry, manifest = true, replace, release, signing, signal } = options;
  const { domain, path, tag } = target;
  const repository = { domain, path };
  let bytes = 0;
  let changed = false;
  const count = (done: { readonly bytes?: number; readonly changed: boolean }): void => {
    bytes += done.bytes ?? 0;
    changed ||= done.changed;
  };
  const reference = familiarReference(target);
  const send = async (descriptor: Descriptor, isPart: boolean): Promise<void> => {
    const { digest } = descriptor;
    const as = { ...repository, digest };
    count(await registry.pushImage(store, descriptor, as, { title: reference, isPart, signal }));
  };
  let signer: SignerId | undefined;
  const own = new Set(images.map(({ digest }) => digest));
  const sign = async (
    subjects: readonly Descriptor[],
    manifests: readonly Descriptor[],
  ): Promise<void> => {
    if (signing === undefined) return;
    const foreign = manifests.filter(({ digest }) => !own.has(digest));
    const to = { ...signing, store, registry, target, foreign, signal };
    ({ signer } = await signWithDocuments(subjects, to));
  };
  // There are a dozen of them per platform.
  const sendReferrers = async (subjects: readonly Descriptor[]): Promise<void> => {
    const title = `push attestations and signatures of ${reference}`;
    await reportStep(options.reporter ?? silentReporter, { id: title, title }, async () => {
      for (const referrer of await missingReferrers(subjects, repository, options))
        await send(referrer, true);
      const { pushSignatures } = await import('@lkt/sign');
      for (const { digest } of subjects)
        count(await pushSignatures(registry, store, repository, digest, signal));
    });
  };

  const merge = { compare: compareByArch(item), replace, signal };
  const wanted = await registry.mergeIndex(target, images, { ...merge, dryRun: true });
  const subjects = [...indexes, ...images, ...(manifest ? [wanted.descriptor] : [])];
  // Sign first: it may fail.
  await sign(subjects, manifest ? wanted.manifests : []);
  for (const index of indexes) await send(index, false);
  await sendReferrers(subjects);

  const tags: string[] = [];
  const set = async (given: string, to: Descriptor, isFinal: boolean): Promise<void> => {
    const as = { ...repository, tag: given };
    const may = { replace: isFinal ? false : replace, signal };
    count(await registry.tagManifest(as, to, may));
    tags.push(given);
  };
  for (const [at, image] of images.entries())
    await set(`${tag}-${suffixOf(image)}`, single[at] ?? image, false);
  let { digest } = wanted.descriptor;
  if (manifest) {
    const merged = await registry.mergeIndex(target, images, merge);
    count(merged);
    // Another push changed the index since the dry run.
    if (merged.descriptor.digest !== digest) {
      await sign([merged.descriptor], merged.manifests);
      await sendReferrers([merged.descriptor]);
    }
    ({ digest } = merged.descriptor);
    tags.push(tag);
    if (release !== undefined) await set(release, merged.descriptor, true);
  }
  const index = indexes[0].digest;
  return { item, reference, digest, index, images, tags, bytes, changed, signer };
}

/**
 * Returns referrers of the subjects, and referrers of those, that the registry lacks. Each comes
 * after its subject.
 */
async function missingReferrers(
  subjects: readonly Descriptor[],
  repository: Reference,
  { store, registry, signal }: PackagePushOptions,
): Promise<readonly Descriptor[]> {
  const missing: Descriptor[] = [];
  const seen = new Set<Digest>();
  const { isSignature } = await import('@lkt/sign');
  for (const todo = [...subjects]; todo.length > 0;) {
    const subject = todo.shift();
    if (subject === undefined || seen.has(subject.digest)) continue;
    seen.add(subject.digest);
    // `pushSignatures` pushes signatures.
    const local = (await store.referrers(subject.digest)).filter((item) => !isSignature(item));
    if (local.length === 0) continue;
    todo.push(...local);
    const about = { ...repository, digest: subject.digest };
    const there = await registry.referrers(about, signal);
    const known = new Set(there.map(({ digest }) => digest));
    missing.push(...local.filter(({ digest }) => !known.has(digest)));
  }
  return missing;
}

/** Returns LinuxKit's tag suffix of an image for one platform: `amd64`, `arm-v7`. */
function suffixOf({ platform }: Descriptor): string {
  const { architecture = 'unknown', variant } = platform ?? {};
  return variant === undefined ? architecture : `${architecture}-${variant}`;
}
