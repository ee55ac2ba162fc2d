import { type LktErrorCode } from '@lkt/core';
import { familiarReference, type Store } from '@lkt/oci';
import {
  collectFromStore,
  type EvaluationOptions,
  type SignatureSource,
  evaluatePolicies,
  type PolicyResult,
  type NamedImage,
  type TrustPolicy,
} from '@lkt/sign';
import type { ReferenceProblem } from '@lkt/pkg';
import { withCollection } from './collection-policy.ts';

/** Evaluates images by fixed policies, each image once. */
export class TrustGate {
  readonly policies: readonly TrustPolicy[];
  readonly #sources: readonly SignatureSource[];
  readonly #options: EvaluationOptions;
  readonly #results = new Map<string, Promise<PolicyResult>>();

  /** @param policies all must accept an image */
  constructor(
    policies: readonly TrustPolicy[],
    sources: readonly SignatureSource[],
    options: EvaluationOptions = {},
  ) {
    this.policies = policies;
    this.#sources = sources;
    this.#options = options;
  }

  /** @param own the policy of the collection that the image belongs to */
  async evaluate(image: NamedImage, own?: TrustPolicy): Promise<PolicyResult> {
    const key = `${familiarReference(image)} ${own?.name ?? ''}`;
    const known = this.#results.get(key);
    if (known !== undefined) return known;
    const policies = withCollection(this.policies, own, image);
    const result = evaluatePolicies(image, policies, this.#sources, this.#options);
    this.#results.set(key, result);
    return result;
  }

  /** Returns the problem of using an image; undefined if it is accepted. */
  async problem(image: NamedImage, own?: TrustPolicy): Promise<ReferenceProblem | undefined> {
    return policyProblem(await this.evaluate(image, own));
  }
}

/** Returns a rejection as a problem: the first reason in the message, others as detail. */
export function policyProblem({ image, verdict }: PolicyResult): ReferenceProblem | undefined {
  if (verdict.accepted) return undefined;
  const [first = 'no policy accepts it', ...more] = verdict.reasons;
  const code: LktErrorCode = 'SIGNATURE_INVALID';
  return {
    code,
    message: `${familiarReference(image)} is not trusted: ${first}`,
    fix: first.endsWith('need a trusted root')
      ? 'name the trusted_root.json of your Sigstore instance: trustedRoot: FILE in the policy, or --trusted-root FILE; to make it, run: lkt trust update'
      : 'run lkt verify to list its signatures; sign it, or use a signed image',
    detail: more.length === 0 ? undefined : more.map((line) => `  ${line}`).join('\n'),
  };
}

/** Returns the signatures in a store as a source. */
export function storeSignatures(store: Store): SignatureSource {
  return {
    name: 'the store',
    async *collect({ digest }) {
      yield await collectFromStore(store, digest);
    },
  };
}
