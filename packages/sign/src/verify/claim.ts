import { type Digest, digestHex } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import {
  IN_TOTO_PAYLOAD,
  SIGNATURE_PREDICATE,
  STATEMENT_V01,
  STATEMENT_V1,
  type Statement,
} from '../statement/statement.ts';
import { simpleSubject } from '../bundle/simple-signing.ts';
import { Unusable } from './unusable.ts';

/** What was signed says of the image. */
export interface Claim {
  readonly predicateType: string;
  readonly predicate: unknown;
}

/**
 * Reads what a signature is of, which says nothing of whether the signature is good.
 * @param payload of a signature that does not hold its own
 * @throws Unusable when it is about another image, or no statement
 */
export function readClaim(bundle: Bundle, payload: Buffer | undefined, subject: Digest): Claim {
  if (bundle.content.$case === 'messageSignature') {
    if (payload === undefined) throw new Unusable('it signs something that is not there');
    const digest = simpleSubject(payload);
    if (digest !== subject) throw new Unusable(`it is a signature of another image, ${digest}`);
    return { predicateType: SIGNATURE_PREDICATE, predicate: {} };
  }
  const { payloadType, payload: content } = bundle.content.dsseEnvelope;
  if (payloadType !== IN_TOTO_PAYLOAD)
    throw new Unusable(`what is signed is not a statement, but ${payloadType}`);
  const statement = parseStatement(content);
  const subjects = statement.subject.map((item) => item?.digest?.['sha256']);
  if (!subjects.includes(digestHex(subject)))
    throw new Unusable(`it is about another image, sha256:${subjects[0] ?? '?'}`);
  const { predicateType, predicate } = statement;
  return { predicateType, predicate };
}

function parseStatement(content: Buffer): Statement {
  try {
    const statement = JSON.parse(content.toString()) as Statement;
    const { _type, subject, predicateType } = statement;
    const isStatement =
      (_type === STATEMENT_V1 || _type === STATEMENT_V01) &&
      Array.isArray(subject) &&
      typeof predicateType === 'string' &&
      predicateType !== '';
    if (isStatement) return statement;
  } catch {
    // Below.
  }
  throw new Unusable('what is signed is not an in-toto statement');
}
