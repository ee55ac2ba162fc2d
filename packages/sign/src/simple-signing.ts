import { createHash } from 'node:crypto';
import type { Digest } from '@lkt/core';
import { LayerAnnotation } from './formats.ts';
import { certificatePem, type SigningSession } from './signer.ts';
import { Unusable } from './unusable.ts';

/** A signature in the form that cosign 2, skopeo and podman read. */
export interface SimpleSignature {
  readonly payload: Buffer;
  readonly annotations: Readonly<Record<string, string>>;
}

const TYPE = 'cosign container image signature';

/** @param name the repository, `registry.example/app` @throws LktError NETWORK_FAILED, ACCESS_DENIED, UNSUPPORTED */
export async function signSimply(
  session: SigningSession,
  name: string,
  digest: Digest,
): Promise<SimpleSignature> {
  // containers-signature(5); cosign has the keys in this order.
  const payload = Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': name },
        image: { 'docker-manifest-digest': digest },
        type: TYPE,
      },
      optional: null,
    }),
  );
  const signature = session.sign(payload);
  const { material, verifier } = session;
  const sha256 = createHash('sha256').update(payload).digest('hex');
  const entry = await session.log({ kind: 'hashedrekord', sha256, signature, verifier });
  const timestamp = await session.timestamp(signature);
  const annotations: Record<string, string> = {
    [LayerAnnotation.signature]: signature.toString('base64'),
  };
  if (material.kind === 'certificate') {
    const [leaf, ...rest] = material.chain;
    annotations[LayerAnnotation.certificate] = certificatePem(leaf);
    annotations[LayerAnnotation.chain] = rest.map(certificatePem).join('');
  }
  if (entry !== undefined)
    annotations[LayerAnnotation.logEntry] = JSON.stringify({
      SignedEntryTimestamp: entry.inclusionPromise.signedEntryTimestamp,
      Payload: {
        body: entry.canonicalizedBody,
        integratedTime: Number(entry.integratedTime),
        logIndex: Number(entry.logIndex),
        logID: Buffer.from(entry.logId.keyId, 'base64').toString('hex'),
      },
    });
  if (timestamp !== undefined)
    annotations[LayerAnnotation.timestamp] = JSON.stringify({
      SignedRFC3161Timestamp: timestamp.toString('base64'),
    });
  return { payload, annotations };
}

/**
 * The image that a payload is about.
 * @throws Unusable when it is no signature of an image
 */
export function simpleSubject(payload: Buffer): string {
  let critical: { type?: unknown; image?: Record<string, unknown> } | undefined;
  try {
    ({ critical } = JSON.parse(payload.toString()) as { critical?: typeof critical });
  } catch {
    throw new Unusable('the payload is not JSON');
  }
  const digest = critical?.image?.['docker-manifest-digest'];
  if (critical?.type !== TYPE || typeof digest !== 'string')
    throw new Unusable('the payload is not that of a signature of an image');
  return digest;
}
