import { type LktErrorCode } from '@lkt/core';
import { familiarReference, type Store } from '@lkt/oci';
import {
  collectFromStore,
  type SignatureSource,
  evaluatePolicies,
  type PolicyResult,
  type NamedImage,
  type TrustPolicy,
} from '@lkt/sign';
import type { ReferenceProblem } from '@lkt/pkg';

/** Evaluates images by the same policies, each image once. */
export class TrustGate {
  readonly policies: readonly TrustPolicy[];
  readonly #sources: readonly SignatureSource[];
  readonly #signal: AbortSignal | undefined;
  readonly #results = new Map<string, Promise<PolicyResult>>();

  /** @param policies each of which has to accept an image */
  constructor(
    policies: readonly TrustPolicy[],
    sources: readonly SignatureSource[],
    signal?: AbortSignal,
  ) {
    this.policies = policies;
    this.#sources = sources;
    this.#signal = signal;
  }

  async evaluate(image: NamedImage): Promise<PolicyResult> {
    const key = familiarReference(image);
    const known = this.#results.get(key);
    if (known !== undefined) return known;
    const result = evaluatePolicies(image, this.policies, this.#sources, this.#signal);
    this.#results.set(key, result);
    return result;
  }

  /** What is wrong with using an image; undefined if nothing is. */
  async problem(image: NamedImage): Promise<ReferenceProblem | undefined> {
    return policyProblem(await this.evaluate(image));
  }
}

/** For people: the first reason in the message, all further ones below. */
export function policyProblem({ image, verdict }: PolicyResult): ReferenceProblem | undefined {
  if (verdict.accepted) return undefined;
  const [first = 'nobody says so', ...more] = verdict.reasons;
  const code: LktErrorCode = 'SIGNATURE_INVALID';
  return {
    code,
    message: `${familiarReference(image)} is not trusted: ${first}`,
    fix: 'see what is there: lkt verify; have it signed, or use an image that is',
    detail: more.length === 0 ? undefined : more.map((line) => `  ${line}`).join('\n'),
  };
}

/** What a store has beside an image. */
export function storeSignatures(store: Store): SignatureSource {
  return { name: 'the store', collect: async ({ digest }) => collectFromStore(store, digest) };
}
