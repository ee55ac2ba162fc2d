import { realpath } from 'node:fs/promises';
import { relative } from 'node:path';
import { LktError } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { type Collection, type Package, trustFileIn, type Workspace } from '@lkt/pkg';
import { filePolicy } from './load-policy.ts';
import type { ImagePattern, NamedImage, TrustedRoot, TrustPolicy } from '@lkt/sign';

/**
 * The policies that collections have for their images in registries: `trust.yml` at the root of
 * each. Its patterns are about the names of the collection's own files. It is read once.
 */
export class CollectionPolicies {
  readonly #workspace: Workspace;
  readonly #root: TrustedRoot | undefined;
  readonly #policies = new Map<Collection, Promise<TrustPolicy | undefined>>();

  /** @param root the trusted root of a policy that names none */
  constructor(workspace: Workspace, root: TrustedRoot | undefined) {
    this.#workspace = workspace;
    this.#root = root;
  }

  /**
   * Returns the policy for the image of a package, whatever its name in the registry; undefined for
   * a package of the workspace itself, and for a collection without a policy.
   * @throws LktError CONFIG_INVALID, IO_FAILED
   */
  async of(item: Package | undefined): Promise<TrustPolicy | undefined> {
    const { collection } = item ?? {};
    if (item === undefined || collection === undefined) return undefined;
    const read = this.#policies.get(collection) ?? this.#read(collection);
    this.#policies.set(collection, read);
    const policy = await read;
    const name = collection.ownName(item);
    return policy === undefined || name === undefined ? undefined : aboutName(policy, name);
  }

  async #read({ root }: Collection): Promise<TrustPolicy | undefined> {
    const path = await trustFileIn(root);
    if (path === undefined) return undefined;
    const shown = this.#workspace.displayPath(path);
    if (relative(root, await realpath(path)).startsWith('../'))
      throw new LktError('CONFIG_INVALID', `${shown} leads out of the collection`, {
        fix: 'replace it by a file',
      });
    return filePolicy(path, shown, this.#root, { isConfined: true });
  }
}

/** Returns a policy whose patterns are compared with one name, not with that in a registry. */
function aboutName(policy: TrustPolicy, name: string): TrustPolicy {
  const own = parseReference(name);
  const compared = (patterns: readonly ImagePattern[]): readonly ImagePattern[] =>
    patterns.map(({ text, matches }) => ({ text, matches: () => matches(own) }));
  return {
    ...policy,
    required: compared(policy.required),
    unsigned: compared(policy.unsigned),
    rules: policy.rules.map((rule) => ({ ...rule, images: compared(rule.images) })),
  };
}

/**
 * Returns the policies for an image of a collection: those of the user, and the collection's. If
 * that has a rule for the image, `required` of the others needs no further one.
 */
export function withCollection(
  policies: readonly TrustPolicy[],
  own: TrustPolicy | undefined,
  image: NamedImage,
): readonly TrustPolicy[] {
  if (own === undefined) return policies;
  const hasRule = own.rules.some(({ images }) => images.some(({ matches }) => matches(image)));
  const others = hasRule ? policies.map((one) => ({ ...one, required: [] })) : policies;
  return [...others, own];
}
