import { type Digest, LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { MergeResult, Registry } from '@lkt/registry';
import type { SignerId } from '@lkt/sign';
import { readCommitted } from './push-plan.ts';
import { type TargetOptions, targetReference } from '../pins/tag.ts';
import { type Signing, signWithDocuments } from './sign-images.ts';
import { compareByArch } from '../pins/check-pin.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

export interface ManifestOptions extends TargetOptions {
  readonly registry: Registry;
  /** Replace other images under the same tag. */
  readonly replace?: boolean;
  /**
   * Without it, the index is not signed. With it, the same signer must have signed all its images.
   */
  readonly signing?: (Signing & { readonly store: Store }) | undefined;
}

/** The index of a package that a registry has now. */
export interface PackageManifest {
  readonly item: Package;
  /** Name and tag in the registry. */
  readonly reference: string;
  /** The index that the tag names now, including images for other platforms that it had before. */
  readonly digest: Digest;
  readonly platforms: readonly string[];
  readonly changed: boolean;
  /** Undefined if nothing was signed. */
  readonly signer?: SignerId;
}

/**
 * Sets the tags of packages to indexes of the images that were pushed for single platforms, under
 * `TAG-ARCH` for each of `arches`, and of the images that the tags already name. Transfers no
 * image.
 * @throws NOT_COMMITTED
 * @throws NOT_FOUND if no image was pushed
 * @throws TAG_TAKEN
 * @throws LktError as the signer does
 */
export async function pushManifests(
  workspace: Workspace,
  items: readonly Package[],
  options: ManifestOptions,
): Promise<readonly PackageManifest[]> {
  const { registry, release, replace, signal } = options;
  const sources = await readCommitted(workspace, items, signal);
  const results: PackageManifest[] = [];
  for (const item of items) {
    const target = targetReference(item, sources.hash(item), options);
    const found = new Map<string, Descriptor>();
    for (const arch of item.arches) {
      const tagged = { ...target, tag: `${target.tag}-${arch}` };
      for (const image of await registry.taggedImages(tagged, signal))
        if (image.platform?.architecture === arch) found.set(formatPlatform(image.platform), image);
    }
    const reference = familiarReference(target);
    if (found.size === 0) {
      const tags = item.arches.map((arch) => `${target.tag}-${arch}`).join(', ');
      throw new LktError('NOT_FOUND', `the registry has no image of ${item.name} under ${tags}`, {
        fix: 'push from a machine of each platform: lkt pkg push --no-manifest DIR',
      });
    }
    const merge = { compare: compareByArch(item), replace, signal };
    const images = [...found.values()];
    const wanted = await registry.mergeIndex(target, images, { ...merge, dryRun: true });
    if (release !== undefined) {
      const as = { ...target, tag: release };
      await registry.tagManifest(as, wanted.descriptor, { dryRun: true, signal });
    }
    let signer = await sign(wanted, target, options);
    const { descriptor, manifests, changed } = await registry.mergeIndex(target, images, merge);
    // Another push changed the index since the dry run.
    if (descriptor.digest !== wanted.descriptor.digest)
      signer = await sign({ descriptor, manifests }, target, options);
    const named =
      release === undefined
        ? undefined
        : await registry.tagManifest({ ...target, tag: release }, descriptor, { signal });
    const all = await registry.taggedImages({ ...target, digest: descriptor.digest }, signal);
    results.push({
      item,
      reference,
      digest: descriptor.digest,
      platforms: all.flatMap(({ platform }) =>
        platform === undefined ? [] : [formatPlatform(platform)],
      ),
      changed: changed || named?.changed === true,
      signer,
    });
  }
  return results;
}

/** Signs an index. Its images must be signed already. */
async function sign(
  { descriptor, manifests }: Pick<MergeResult, 'descriptor' | 'manifests'>,
  target: Reference,
  { registry, signing, signal }: ManifestOptions,
): Promise<SignerId | undefined> {
  if (signing === undefined) return undefined;
  const to = { ...signing, registry, target, foreign: manifests, signal };
  const { signer } = await signWithDocuments([descriptor], to);
  const { pushSignatures } = await import('@lkt/sign');
  await pushSignatures(registry, signing.store, target, descriptor.digest, signal);
  return signer;
}

/**
 * Returns the name that a package has in a registry, by its committed sources.
 * @throws NOT_COMMITTED
 */
export async function committedReference(
  workspace: Workspace,
  item: Package,
  options: TargetOptions,
): Promise<string> {
  const sources = await readCommitted(workspace, [item], options.signal);
  return familiarReference(targetReference(item, sources.hash(item), options));
}
