import { createHash } from 'node:crypto';
import { preAuthEncoding } from './dsse.ts';
import { BUNDLE_V03 } from './formats.ts';
import type { PublicKey } from '../keys/keys.ts';
import type { SigningSession } from '../signing/signer.ts';
import { IN_TOTO_PAYLOAD, type Statement, statementBytes } from '../statement/statement.ts';

/**
 * A signed statement with all verification material (sigstore_bundle.proto, version 0.3, as JSON).
 */
export interface SignedStatement {
  readonly predicateType: string;
  readonly bytes: Buffer;
  /** Time of the log entry; undefined if it states none. */
  readonly time: Date | undefined;
}

/**
 * Signs a statement as a DSSE envelope, in a Sigstore bundle.
 * @throws NETWORK_FAILED, ACCESS_DENIED
 */
export async function signStatement(
  session: SigningSession,
  statement: Statement,
): Promise<SignedStatement> {
  const payload = statementBytes(statement);
  const signed = preAuthEncoding(IN_TOTO_PAYLOAD, payload);
  const signature = session.sign(signed);
  // No keyid: cosign would look it up among its own keys and find no match.
  const envelope = {
    payload: payload.toString('base64'),
    payloadType: IN_TOTO_PAYLOAD,
    signatures: [{ sig: signature.toString('base64') }],
  };
  const { material } = session;
  const entry = await session.log({ signed, signature, envelope: JSON.stringify(envelope) });
  const timestamp = await session.timestamp(signature);
  const bundle = {
    mediaType: BUNDLE_V03,
    verificationMaterial: {
      ...(material.kind === 'key'
        ? { publicKey: { hint: keyHint(material.publicKey) } }
        : { certificate: { rawBytes: material.chain[0].raw.toString('base64') } }),
      tlogEntries: entry === undefined ? [] : [entry],
      timestampVerificationData: {
        rfc3161Timestamps:
          timestamp === undefined ? [] : [{ signedTimestamp: timestamp.toString('base64') }],
      },
    },
    dsseEnvelope: envelope,
  };
  return {
    predicateType: statement.predicateType,
    bytes: Buffer.from(JSON.stringify(bundle)),
    time:
      entry?.inclusionPromise === undefined
        ? undefined
        : new Date(Number(entry.integratedTime) * 1000),
  };
}

/**
 * Returns the hint by which a bundle names its key: base64 of the key's SHA-256, as cosign writes
 * it.
 */
export function keyHint({ key }: PublicKey): string {
  const spki = key.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}
