import { type Digest, type LktError, mapConcurrent, type Reporter, reportStep } from '@lkt/core';
import { familiarReference, parseReference, type Store } from '@lkt/oci';
import {
  type BuildOptions,
  type BuiltPackage,
  type ImageQuery,
  matchesItsTag,
  missingImage,
  missingPin,
  type Package,
  referenceError,
  type ReferenceProblem,
  type Workspace,
} from '@lkt/pkg';
import {
  collectFromStore,
  type NamedImage,
  type PolicyResult,
  signedSboms,
  type TrustPolicy,
} from '@lkt/sign';
import type { SourceImage } from '../tree/source-image.ts';
import type { TrustCheckOptions, TrustedImage } from './check-images.ts';
import { CollectionPolicies, withCollection } from './collection-policy.ts';
import { policyProblem, storeSignatures, TrustGate } from './trust-gate.ts';

/** Images that are checked at once. Checking mostly waits for registries. */
export const IMAGES_AT_ONCE = 8;

/** Returns the check of some policies. */
export function policyCheck(
  workspace: Workspace,
  policies: readonly TrustPolicy[],
  store: Store,
  { trust = {}, signal, hasImage }: TrustCheckOptions,
): TrustCheck {
  const { sources = [storeSignatures(store)], listAll: readAll } = trust;
  const gate = new TrustGate(policies, sources, { signal, readAll });
  const collections = new CollectionPolicies(workspace, trust.root);
  return new TrustCheck(workspace, gate, collections, { store, hasImage });
}

/** Evaluates policies for the images of configs. */
export class TrustCheck {
  readonly gate: TrustGate;
  /** For package builds, whose base images end up in the image as well. */
  readonly requireTrusted: (
    image: NamedImage,
    item?: Package,
  ) => Promise<ReferenceProblem | undefined>;
  readonly #workspace: Workspace;
  readonly #collections: Pick<CollectionPolicies, 'of'>;
  readonly #images: Pick<BuildOptions, 'hasImage' | 'store'>;

  /** @param images tell a missing image from an unsigned one */
  constructor(
    workspace: Workspace,
    gate: TrustGate,
    collections: Pick<CollectionPolicies, 'of'>,
    images: Pick<BuildOptions, 'hasImage' | 'store'>,
  ) {
    this.#workspace = workspace;
    this.#collections = collections;
    this.#images = images;
    this.gate = gate;
    this.requireTrusted = async (image, item) =>
      gate.problem(image, await this.#collections.of(item));
  }

  /**
   * Evaluates an image that a config names, under its name in the registry. Another gate can have
   * other sources of signatures.
   */
  async evaluate(image: NamedImage, gate: TrustGate = this.gate): Promise<PolicyResult> {
    const located = { ...this.#workspace.locate(image), digest: image.digest };
    return gate.evaluate(located, await this.#collections.of(this.#workspace.find(image)));
  }

  /**
   * Rejects external images without the required signatures.
   * @throws SIGNATURE_INVALID at the first of them; NOT_FOUND if it is missing; PIN_MISSING
   */
  async requireSigned(queries: readonly ImageQuery[], reporter: Reporter): Promise<void> {
    const id = 'signatures';
    await reportStep(reporter, { id, title: id }, async () => {
      const external = queries.filter(
        (query) => query.packageDir === undefined && !this.#isOfWorkspace(query),
      );
      const require = async (query: ImageQuery): Promise<void> => {
        const image = this.pinned(query);
        if (image !== undefined) await this.#require(query, image);
      };
      await mapConcurrent(external, require, { concurrency: IMAGES_AT_ONCE });
    });
  }

  /**
   * Returns the image that a query pins; undefined for a package by its directory.
   * @throws LktError PIN_MISSING
   */
  pinned(query: ImageQuery): NamedImage | undefined {
    const { text, reference, packageDir } = query;
    if (packageDir !== undefined) return undefined;
    const { digest, ...name } = reference ?? parseReference(text);
    if (digest !== undefined) return { ...name, digest };
    throw failure(query, missingPin(name));
  }

  /** Returns the signed SBOMs of a platform's image that the policies accept, from the store. */
  async signedSboms({ label, digest }: SourceImage): Promise<readonly unknown[]> {
    if (label.startsWith('@')) return [];
    const name = parseReference(label);
    const located = { ...this.#workspace.locate(name), digest };
    const own = await this.#collections.of(this.#workspace.find(name));
    const policies = withCollection(this.gate.policies, own, located);
    const collected = await collectFromStore(this.#images.store, digest);
    return signedSboms(located, policies, collected);
  }

  #isOfWorkspace({ text, reference }: ImageQuery): boolean {
    return this.#workspace.find(reference ?? parseReference(text)) !== undefined;
  }

  /**
   * Returns why each image is accepted, once the packages are built.
   * @throws LktError SIGNATURE_INVALID for one that is neither signed nor built here
   */
  async results(
    queries: readonly ImageQuery[],
    built: readonly BuiltPackage[],
  ): Promise<readonly TrustedImage[]> {
    const packages = new Map<Package, BuiltPackage>(built.map((one) => [one.item, one]));
    const results = new Map<string, TrustedImage>();
    for (const query of queries) {
      const result = await this.#result(query, packages);
      if (result !== undefined) results.set(`${result.reference} ${result.digest}`, result);
    }
    return [...results.values()];
  }

  async #result(
    query: ImageQuery,
    packages: ReadonlyMap<Package, BuiltPackage>,
  ): Promise<TrustedImage | undefined> {
    if (query.packageDir !== undefined) {
      const found = packages.get(await this.#workspace.packageAt(query.packageDir));
      if (found?.pulled !== true) return found && builtHere(found.item.name, found.index.digest);
      return this.#require(query, {
        ...parseReference(found.item.name),
        digest: found.index.digest,
      });
    }
    const image = this.pinned(query);
    if (image === undefined) return undefined;
    const item = this.#workspace.find(image);
    const found = item && packages.get(item);
    if (found !== undefined && !found.pulled && matchesItsTag(image, found))
      return builtHere(familiarReference(image), image.digest);
    return this.#require(query, image);
  }

  async #require(query: ImageQuery, image: NamedImage): Promise<TrustedImage> {
    const result = await this.evaluate(image);
    const problem = policyProblem(result);
    if (problem !== undefined)
      throw failure(
        query,
        (await missingImage(result.image, this.#workspace, this.#images)) ?? problem,
      );
    const { verdict, asked } = result;
    const isSigned = verdict.accepted && verdict.because === 'signed';
    return {
      reference: familiarReference(image),
      digest: image.digest,
      because: isSigned ? 'signed' : 'not required',
      signers: isSigned ? verdict.signers : [],
      rebuilders: isSigned ? verdict.rebuilders : [],
      asked,
    };
  }
}

function builtHere(reference: string, digest: Digest): TrustedImage {
  return { reference, digest, because: 'built here', signers: [], rebuilders: [], asked: [] };
}

function failure(query: ImageQuery, problem: ReferenceProblem): LktError {
  return query.error?.(problem) ?? referenceError(problem);
}
