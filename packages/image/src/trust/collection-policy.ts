import { realpath } from 'node:fs/promises';
import { relative } from 'node:path';
import { LktError } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { type Collection, type Package, trustFileIn, type Workspace } from '@lkt/pkg';
import { filePolicy } from './load-policy.ts';
import {
  describeSigners,
  type ImagePattern,
  type NamedImage,
  type TrustedRoot,
  type TrustPolicy,
} from '@lkt/sign';

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
    const policy = await this.policy(collection);
    const name = collection.ownName(item);
    return policy === undefined || name === undefined ? undefined : aboutName(policy, name);
  }

  /**
   * Returns the policy of a collection as it is written; undefined without one.
   * @throws LktError CONFIG_INVALID, IO_FAILED
   */
  async policy(collection: Collection): Promise<TrustPolicy | undefined> {
    const read = this.#policies.get(collection) ?? this.#read(collection);
    this.#policies.set(collection, read);
    return read;
  }

  async #read({ root }: Collection): Promise<TrustPolicy | undefined> {
    const path = await trustFileIn(root);
    if (path === undefined) return undefined;
    const shown = this.#workspace.displayPath(path);
    if (relative(root, await realpath(path)).startsWith('../'))
      throw new LktError('CONFIG_INVALID', `${shown} points outside the collection`, {
        fix: 'replace it by a file',
      });
    return filePolicy(path, shown, this.#root, { isConfined: true });
  }
}

/** Returns what a policy requires, a line for each requirement. Keys are named by their content. */
export function policyLines(policy: TrustPolicy | undefined): readonly string[] {
  const { required = [], unsigned = [], rules = [] } = policy ?? {};
  return [
    ...required.map(({ text }) => `required: ${text}`),
    ...unsigned.map(({ text }) => `unsigned: ${text}`),
    ...rules.flatMap(({ images, signers, rebuilders }) =>
      [['signed', signers] as const, ['rebuilt', rebuilders] as const].flatMap(([did, wanted]) => {
        if (wanted === undefined) return [];
        const keys = wanted.keys.map((key) => ({ ...key, name: key.fingerprint }));
        const whom = describeSigners({ ...wanted, keys }).join(', ');
        const names = images.map(({ text }) => text).join(', ');
        return [`${names}: ${did} by ${wanted.threshold} of ${whom}`];
      }),
    ),
  ];
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
