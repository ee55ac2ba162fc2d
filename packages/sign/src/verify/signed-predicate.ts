import { type Digest, digestAlgorithm, digestHex } from '@lkt/core';
import { parseJson } from '../bundle/parse-json.ts';
import type { ParsedSignature } from '../bundle/parse-signature.ts';
import {
  IN_TOTO_PAYLOAD,
  SIGNATURE_PREDICATE,
  STATEMENT_V01,
  STATEMENT_V1,
  type Statement,
} from '../statement/statement.ts';
import { simpleRepository, simpleSubject } from '../bundle/simple-signing.ts';
import { VerificationError } from './verification-error.ts';
import type { VerifiedSignature } from './verification.ts';

/**
 * Returns the signed predicate of a signature, without verifying the signature.
 * @throws VerificationError if about another image, or not a statement
 */
export function readSignedPredicate(
  { bundle, payload = Buffer.of() }: ParsedSignature,
  subject: Digest,
): Pick<VerifiedSignature, 'predicate' | 'predicateType' | 'repositories'> {
  if (bundle.content.$case === 'messageSignature') {
    const digest = simpleSubject(payload);
    if (digest !== subject) throw new VerificationError(`of another image, ${digest}`);
    const repository = simpleRepository(payload);
    const repositories = repository === undefined ? [] : [repository];
    return { predicateType: SIGNATURE_PREDICATE, predicate: {}, repositories };
  }
  const { payloadType, payload: content } = bundle.content.dsseEnvelope;
  if (payloadType !== IN_TOTO_PAYLOAD)
    throw new VerificationError(
      `the signed payload is not an in-toto statement, but ${payloadType}`,
    );
  const statement = parseStatement(content);
  const { predicateType, predicate, subject: subjects } = statement;
  const algorithm = digestAlgorithm(subject);
  const own = subjects.filter((item) => item?.digest?.[algorithm] === digestHex(subject));
  if (own.length === 0) {
    const other = subjects[0]?.digest?.[algorithm] ?? '?';
    throw new VerificationError(`about another image, ${algorithm}:${other}`);
  }
  const repositories = own.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  return { predicateType, predicate, repositories };
}

function parseStatement(content: Buffer): Statement {
  const statement = parseJson(content.toString(), 'the signed payload') as Statement;
  const { _type, subject, predicateType } = statement;
  const isStatement =
    (_type === STATEMENT_V1 || _type === STATEMENT_V01) &&
    Array.isArray(subject) &&
    typeof predicateType === 'string' &&
    predicateType !== '';
  if (isStatement) return statement;
  throw new VerificationError('the signed payload is not an in-toto statement');
}
