import { type Digest, LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  loadImage,
  parseIndex,
  parseReference,
  type Platform,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import { type BuildOptions, type BuiltPackage, buildPackages } from './build.ts';
import { storeName } from './pins.ts';
import { readSources, type Sources } from './sources.ts';
import { renderTag } from './tag.ts';
import type { Package, Workspace } from './workspace.ts';

/** Where packages go, and under which names. */
export interface TargetOptions {
  /** Instead of that in build.yml: `registry.example/team`. */
  readonly org?: string | undefined;
  /** Template, instead of that in build.yml. */
  readonly tag?: string | undefined;
  /** One more tag, which never comes to mean something else. */
  readonly release?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PackagePushOptions extends TargetOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** Undefined: what is in the store is pushed, and nothing built. */
  readonly build: BuildOptions | undefined;
  /** Whether the tag of the sources is set; by default it is. Tags of single platforms always are. */
  readonly manifest?: boolean;
  /** Take the place of other images under the same tags, but for releases. */
  readonly replace?: boolean;
  /** Adds to what refers to the images before it is pushed: signatures. */
  readonly beforeReferrers?: (pushed: PushedImages) => Promise<void>;
}

/** What is in the registry by digest, before it has a tag. */
export interface PushedImages {
  readonly repository: Reference;
  /** The name that people use for it. */
  readonly reference: Reference & { readonly tag: string };
  /** Indexes and images; nothing in it is of another origin. */
  readonly subjects: readonly Descriptor[];
  /** What the tag will stand for. */
  readonly tagged: Descriptor;
}

export interface PushedPackage {
  readonly item: Package;
  /** Name and tag in the registry. */
  readonly reference: string;
  /** What the tag stands for now: with the images for other platforms that it had. */
  readonly digest: Digest;
  /** What a pin names: the index of the images that are in the store. */
  readonly index: Digest;
  readonly images: readonly Descriptor[];
  readonly tags: readonly string[];
  /** Of blobs that went over the wire. */
  readonly bytes: number;
  readonly changed: boolean;
}

/**
 * Brings packages to a registry: images first, what refers to them next, tags at last, so that whatever has a tag is
 * whole. What is there is not sent again, and of blobs that another package has there no byte is.
 *
 * The sources have to be committed, as the tag says which they are.
 * @throws LktError NOT_COMMITTED; NOT_FOUND when nothing may be built and the store lacks one; TAG_TAKEN, before
 * anything is sent; what building and the registry throw
 */
export async function pushPackages(
  workspace: Workspace,
  items: readonly Package[],
  options: PackagePushOptions,
): Promise<readonly PushedPackage[]> {
  const { store, build, signal } = options;
  const sources = await readSources(workspace, workspace.packages.values(), { signal });
  for (const item of items) requireCommitted(item, sources);
  const built = build === undefined ? [] : (await buildPackages(workspace, items, build)).packages;
  for (const one of built) requireCommitted(one.item, sources);
  const works: Work[] = [];
  for (const item of items) works.push(await workFor(item, sources, options));
  for (const work of works) await requireFree(work, options);
  const blobs = new KnownBlobs();
  for (const one of built) await blobs.add(store, targetName(one.item, options), imagesOf(one));
  const pushed: PushedPackage[] = [];
  // One that another uses comes first, so that there is something to mount from.
  const place = new Map(built.map(({ item }, index) => [item, index] as const));
  const sorted = works.toSorted((a, b) => (place.get(a.item) ?? 0) - (place.get(b.item) ?? 0));
  for (const work of sorted) pushed.push(await push(work, blobs, options));
  return items.flatMap((item) => pushed.find((one) => one.item === item) ?? []);
}

/** One package, and what of it is pushed. */
interface Work {
  readonly item: Package;
  readonly target: Reference & { readonly tag: string };
  /** The index that the store has under the tag, and those of `single`. */
  readonly indexes: readonly Descriptor[];
  /** Of each image an index of it alone: what a pin names that was made on a machine for one platform. */
  readonly single: readonly Descriptor[];
  readonly images: readonly Descriptor[];
}

/** The name of a package in the registry it goes to. */
function targetName(item: Package, { org }: TargetOptions): Reference {
  return parseReference(org === undefined ? item.name : `${org}/${item.image}`);
}

/** The name of a package by its sources as they are committed. */
export function targetReference(
  item: Package,
  sources: Sources,
  options: TargetOptions,
): Reference & { readonly tag: string } {
  const { domain, path } = targetName(item, options);
  return { domain, path, tag: renderTag(options.tag ?? item.tag, sources.hash(item).hash) };
}

async function workFor(
  item: Package,
  sources: Sources,
  options: PackagePushOptions,
): Promise<Work> {
  const { store } = options;
  const name = storeName(parseReference(item.name), renderTag(item.tag, sources.hash(item).hash));
  const index = await store.resolve(name);
  if (index === undefined)
    throw new LktError(
      'NOT_FOUND',
      `${familiarReference(parseReference(name))} is not in the store`,
      {
        fix: 'build it: lkt pkg build DIR',
      },
    );
  const images = parseIndex(await store.readBytes(index)).manifests;
  const single: Descriptor[] = [];
  for (const image of images) single.push(await writeIndex(store, [image]));
  const indexes = [index, ...single.filter(({ digest }) => digest !== index.digest)];
  return { item, target: targetReference(item, sources, options), indexes, single, images };
}

/** @throws LktError NOT_COMMITTED */
export function requireCommitted(item: Package, sources: Sources): void {
  const { hash, committed, dirty } = sources.hash(item);
  if (committed === undefined || hash === '')
    throw new LktError(
      'NOT_COMMITTED',
      `${item.name} is not in git, so no tag says what it is of`,
      {
        fix: 'commit it',
      },
    );
  if (!dirty) return;
  const changes = sources.changes(item);
  const shown = changes.slice(0, 10).map((path) => `  ${path}`);
  if (changes.length > shown.length) shown.push(`  and ${changes.length - shown.length} more`);
  throw new LktError('NOT_COMMITTED', `${item.name} has changes that are not committed`, {
    detail: shown.join('\n'),
    fix: 'commit them',
  });
}

/** Finds out what would be refused, before anything is sent. */
async function requireFree(
  { item, target, images }: Work,
  { registry, manifest = true, replace, release, signal }: PackagePushOptions,
): Promise<void> {
  const options = { compare: byArches(item), replace, dryRun: true, signal };
  const merged = await registry.mergeIndex(target, images, options);
  if (manifest && release !== undefined)
    await registry.tagManifest({ ...target, tag: release }, merged.descriptor, {
      dryRun: true,
      signal,
    });
}

async function push(
  { item, target, indexes, single, images }: Work,
  blobs: KnownBlobs,
  options: PackagePushOptions,
): Promise<PushedPackage> {
  const { store, registry, manifest = true, replace, release, signal } = options;
  const { domain, path, tag } = target;
  const repository = { domain, path };
  let bytes = 0;
  let changed = false;
  const name = familiarReference(target);
  const send = async (descriptor: Descriptor, title: string): Promise<void> => {
    const { digest } = descriptor;
    const mountFrom = (blob: Digest): readonly string[] => blobs.elsewhere(blob, repository);
    const done = await registry.pushImage(
      store,
      descriptor,
      { ...repository, digest },
      { mountFrom, title, signal },
    );
    bytes += done.bytes;
    changed ||= done.changed;
  };
  for (const index of indexes) await send(index, name);
  await blobs.add(store, repository, images);
  const compare = byArches(item);
  const { descriptor: tagged } = await registry.mergeIndex(target, images, {
    compare,
    replace,
    dryRun: true,
    signal,
  });
  const subjects = [...indexes, ...images];
  await options.beforeReferrers?.({ repository, reference: target, subjects, tagged });
  const referrers = await missingReferrers(subjects, repository, options);
  for (const referrer of referrers)
    await send(referrer, `${referrer.artifactType ?? 'referrer'} of ${name}`);

  const tags: string[] = [];
  const set = async (given: string, to: Descriptor, isFinal: boolean): Promise<void> => {
    const done = await registry.tagManifest({ ...repository, tag: given }, to, {
      replace: isFinal ? false : replace,
      signal,
    });
    changed ||= done.changed;
    tags.push(given);
  };
  for (const [at, image] of images.entries())
    await set(`${tag}-${suffixOf(image)}`, single[at] ?? image, false);
  let digest = tagged.digest;
  if (manifest) {
    const merged = await registry.mergeIndex(target, images, { compare, replace, signal });
    digest = merged.descriptor.digest;
    changed ||= merged.changed;
    tags.push(tag);
    if (release !== undefined) await set(release, merged.descriptor, true);
  }
  return {
    item,
    reference: name,
    digest,
    index: indexes[0]?.digest ?? digest,
    images,
    tags,
    bytes,
    changed,
  };
}

/** What the store has about these, and about that, and the registry does not know of: each after what it is about. */
async function missingReferrers(
  subjects: readonly Descriptor[],
  repository: Reference,
  { store, registry, signal }: PackagePushOptions,
): Promise<readonly Descriptor[]> {
  const missing: Descriptor[] = [];
  const seen = new Set<Digest>();
  for (const todo = [...subjects]; todo.length > 0;) {
    const subject = todo.shift();
    if (subject === undefined || seen.has(subject.digest)) continue;
    seen.add(subject.digest);
    const local = await store.referrers(subject.digest);
    if (local.length === 0) continue;
    todo.push(...local);
    const about = { ...repository, digest: subject.digest };
    const there = await registry.referrers(about, undefined, signal);
    const known = new Set(there.map(({ digest }) => digest));
    missing.push(...local.filter(({ digest }) => !known.has(digest)));
  }
  return missing;
}

/** `amd64`, `arm-v7`: what LinuxKit puts behind the tag of an image for one platform. */
function suffixOf({ platform }: Descriptor): string {
  const { architecture = 'unknown', variant } = platform ?? {};
  return variant === undefined ? architecture : `${architecture}-${variant}`;
}

/** The order of `arches`, as the store has it. */
export function byArches({ arches }: Package): (a: Platform, b: Platform) => number {
  const place = ({ architecture }: Platform): number => {
    const at = arches.indexOf(architecture);
    return at === -1 ? arches.length : at;
  };
  return (a, b) => place(a) - place(b);
}

function imagesOf({ images, others }: BuiltPackage): readonly Descriptor[] {
  return [...images, ...others];
}

/** Which repositories may have a blob. */
class KnownBlobs {
  readonly #repositories = new Map<Digest, Set<string>>();

  async add(
    store: Store,
    { domain, path }: Reference,
    images: readonly Descriptor[],
  ): Promise<void> {
    for (const { digest, platform } of images) {
      if (platform === undefined) continue;
      const { manifest } = await loadImage(store, digest, platform);
      for (const blob of manifest.layers) {
        const known = this.#repositories.get(blob.digest) ?? new Set();
        this.#repositories.set(blob.digest, known.add(`${domain}/${path}`));
      }
    }
  }

  /** Other repositories of the same registry, at most a few. */
  elsewhere(blob: Digest, { domain, path }: Reference): readonly string[] {
    const prefix = `${domain}/`;
    return [...(this.#repositories.get(blob) ?? [])]
      .filter((name) => name.startsWith(prefix) && name !== `${domain}/${path}`)
      .map((name) => name.slice(prefix.length))
      .slice(0, 3);
  }
}
