import { canonicalJson, type Digest, digestSet } from '@lkt/core';

/** An in-toto Statement v1: asserts `predicate` about the subjects with these digests. */
export interface Statement {
  readonly _type: string;
  readonly subject: readonly StatementSubject[];
  readonly predicateType: string;
  readonly predicate: unknown;
}

interface StatementSubject {
  readonly name?: string;
  readonly digest?: Readonly<Record<string, string>>;
}

/** Payload type of an in-toto statement in a DSSE envelope. */
export const IN_TOTO_PAYLOAD = 'application/vnd.in-toto+json';
export const STATEMENT_V1 = 'https://in-toto.io/Statement/v1';
/** cosign and BuildKit still write it. */
export const STATEMENT_V01 = 'https://in-toto.io/Statement/v0.1';

/** `predicateType` of a signature without further content (cosign 3). */
export const SIGNATURE_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
/** `predicateType` of an SPDX document. */
export const SPDX_PREDICATE = 'https://spdx.dev/Document';

/** Returns a statement about one image. */
export function statementAbout(
  subject: { readonly name: string; readonly digest: Digest },
  predicateType: string,
  predicate: unknown,
): Statement {
  return {
    _type: STATEMENT_V1,
    subject: [{ name: subject.name, digest: digestSet(subject.digest) }],
    predicateType,
    predicate,
  };
}

/** Returns the canonical JSON of a statement, which is what is signed. */
export function statementBytes(statement: Statement): Buffer {
  return Buffer.from(canonicalJson(statement));
}
