import { createHash, createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { pem } from './pem.ts';

interface Proposed {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly spec: unknown;
}

interface HashedRekord {
  readonly data: { readonly hash: { readonly algorithm: string; readonly value: string } };
  readonly signature: {
    readonly content: string;
    readonly publicKey: { readonly content: string };
  };
}

interface Dsse {
  readonly proposedContent: { readonly envelope: string; readonly verifiers: readonly string[] };
}

interface Envelope {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly { readonly sig: string }[];
}

/**
 * Returns the body that Rekor 1 logs for a proposal, byte for byte: hashedrekord 0.0.1 and dsse
 * 0.0.1. Verifies signatures of envelopes, but not of hashedrekord, because Node cannot verify one
 * over a digest.
 */
export function canonicalEntry(proposed: Proposed): Buffer {
  switch (proposed.kind) {
    case 'hashedrekord':
      return Buffer.from(canonicalJson(hashedRekord(proposed.spec as HashedRekord)));
    case 'dsse':
      return Buffer.from(canonicalJson(dsse(proposed.spec as Dsse)));
    default:
      throw new Error(`unsupported kind ${proposed.kind}`);
  }
}

function hashedRekord({ data: { hash }, signature }: HashedRekord): object {
  if (hash.algorithm !== 'sha256' || !/^[0-9a-f]{64}$/.test(hash.value))
    throw new Error('the hash is not a sha256 digest');
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: hash.algorithm, value: hash.value } },
      signature: {
        content: signature.content,
        publicKey: { content: canonicalVerifier(signature.publicKey.content) },
      },
    },
  };
}

function dsse({ proposedContent: { envelope: text, verifiers } }: Dsse): object {
  const envelope = JSON.parse(text) as Envelope;
  const payload = Buffer.from(envelope.payload, 'base64');
  const { payloadType } = envelope;
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  const signed = Buffer.concat([Buffer.from(head), payload]);
  const signatures = envelope.signatures.map(({ sig }) => {
    const verifier = verifiers.find((item) => {
      const key = keyOf(item);
      const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
      return verify(hash, signed, key, Buffer.from(sig, 'base64'));
    });
    if (verifier === undefined) throw new Error('the signature does not verify');
    return { signature: sig, verifier: canonicalVerifier(verifier) };
  });
  return {
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: {
      envelopeHash: { algorithm: 'sha256', value: sha256(text) },
      payloadHash: { algorithm: 'sha256', value: sha256(payload) },
      signatures: signatures.toSorted((a, b) => (a.signature < b.signature ? -1 : 1)),
    },
  };
}

function keyOf(verifier: string): KeyObject {
  const text = Buffer.from(verifier, 'base64').toString();
  return text.includes('CERTIFICATE') ? new X509Certificate(text).publicKey : createPublicKey(text);
}

function canonicalVerifier(verifier: string): string {
  const text = Buffer.from(verifier, 'base64').toString();
  const canonicalText = text.includes('CERTIFICATE')
    ? pem('CERTIFICATE', new X509Certificate(text).raw)
    : pem('PUBLIC KEY', createPublicKey(text).export({ type: 'spki', format: 'der' }));
  return Buffer.from(canonicalText).toString('base64');
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
