import { dirname } from 'node:path';
import type { Digest, LktError, Reporter } from '@lkt/core';
import { familiarReference, parseReference, type Store } from '@lkt/oci';
import {
  type BuiltPackage,
  type ImageQuery,
  matchesItsTag,
  missingPin,
  type Package,
  referenceError,
  type ReferenceProblem,
  type Workspace,
} from '@lkt/pkg';
import type { SignatureSource, NamedImage, SignerId, TrustedRoot, TrustPolicy } from '@lkt/sign';
import type { LoadedConfig } from '../config/load-config.ts';
import { loadPolicy } from './load-policy.ts';
import { policyProblem, storeSignatures, TrustGate } from './trust-gate.ts';

/** Who is trusted besides what the configs say, and where signatures are. */
export interface TrustOptions {
  /** Policies of the workspace, or given by the user. Those of the configs are added. */
  readonly policies?: (workspace: Workspace) => Promise<readonly TrustPolicy[]>;
  /** Whether there may be any, as far as can be said before the workspace is opened. */
  readonly mayHavePolicy?: () => Promise<boolean>;
  /** The trusted root of policies that name none. */
  readonly root?: TrustedRoot | undefined;
  /** Asked one after the other; default: the store. */
  readonly sources?: readonly SignatureSource[];
}

/** An image that was accepted, and why. */
export interface TrustedImage {
  readonly reference: string;
  readonly digest: Digest;
  /** `built here`: from the source that its tag names, with the digest that the pin names. */
  readonly because: 'signed' | 'built here' | 'not required';
  readonly signers: readonly SignerId[];
  readonly rebuilders: readonly SignerId[];
  /** Where signatures were looked for, in order. */
  readonly asked: readonly string[];
}

/** The check of the images of some configs; undefined where no policy asks for one. */
export async function startTrustCheck(
  workspace: Workspace,
  { config, fileOf }: LoadedConfig,
  store: Store,
  { trust = {}, signal }: { readonly trust?: TrustOptions; readonly signal?: AbortSignal },
): Promise<TrustCheck | undefined> {
  const { policies: given, root, sources = [storeSignatures(store)] } = trust;
  const policies = [...((await given?.(workspace)) ?? [])];
  for (const settings of config.trust)
    policies.push(await loadPolicy(settings, dirname(fileOf(settings.at).absolute), root));
  if (policies.length === 0) return undefined;
  return new TrustCheck(workspace, new TrustGate(policies, sources, signal));
}

/** What policies say of the images of some configs. */
export class TrustCheck {
  readonly gate: TrustGate;
  /** For the builds of the packages: what is in an image is also what its packages were made from. */
  readonly requireTrusted: (image: NamedImage) => Promise<ReferenceProblem | undefined>;
  readonly #workspace: Workspace;

  constructor(workspace: Workspace, gate: TrustGate) {
    this.#workspace = workspace;
    this.gate = gate;
    this.requireTrusted = async (image) => gate.problem(image);
  }

  /**
   * Refuses images from elsewhere that are not signed as the policies say.
   * @throws LktError SIGNATURE_INVALID at the first of them; PIN_MISSING
   */
  async requireSigned(queries: readonly ImageQuery[], reporter: Reporter): Promise<void> {
    const id = 'signatures';
    reporter.emit({ kind: 'start', id, title: id });
    try {
      for (const query of queries) {
        if (query.packageDir !== undefined || this.#isOfWorkspace(query)) continue;
        const image = this.pinned(query);
        if (image !== undefined) await this.#require(query, image);
      }
      reporter.emit({ kind: 'done', id, cached: false });
    } catch (error) {
      reporter.emit({ kind: 'failed', id });
      throw error;
    }
  }

  /**
   * The image that a query pins; undefined for a package by its directory.
   * @throws LktError PIN_MISSING
   */
  pinned(query: ImageQuery): NamedImage | undefined {
    const { text, reference, packageDir } = query;
    if (packageDir !== undefined) return undefined;
    const { digest, ...name } = reference ?? parseReference(text);
    if (digest !== undefined) return { ...name, digest };
    throw failure(query, missingPin(name));
  }

  #isOfWorkspace({ text, reference }: ImageQuery): boolean {
    return this.#workspace.find(reference ?? parseReference(text)) !== undefined;
  }

  /**
   * Why each image is accepted, once the packages of the workspace are built.
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
    const result = await this.gate.evaluate(image);
    const problem = policyProblem(result);
    if (problem !== undefined) throw failure(query, problem);
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
