import { parseJson } from './parse-json.ts';
import type { Digest } from '@lkt/core';
import { layerAnnotations } from './layer-annotations.ts';
import type { SigningSession } from '../signing/signer.ts';
import { VerificationError } from '../verify/verification-error.ts';

/** A signature in the form that cosign 2, skopeo and podman read. */
export interface SimpleSignature {
  readonly payload: Buffer;
  readonly annotations: Readonly<Record<string, string>>;
}

const TYPE = 'cosign container image signature';

/**
 * Signs an image in the simple signing form.
 * @param name the repository, `registry.example/app`
 * @throws NETWORK_FAILED, ACCESS_DENIED, UNSUPPORTED
 */
export async function signSimply(
  session: SigningSession,
  name: string,
  digest: Digest,
): Promise<SimpleSignature> {
  const payload = simplePayload(name, digest);
  const signature = session.sign(payload);
  const { material } = session;
  const entry = await session.log({ signed: payload, signature });
  const timestamp = await session.timestamp(signature);
  const annotations = layerAnnotations({
    signature: signature.toString('base64'),
    certificates: material.kind === 'certificate' ? material.chain : [],
    entry,
    timestamp: timestamp?.toString('base64'),
  });
  return { payload, annotations };
}

/**
 * Returns the payload that is signed for an image.
 * @param name the repository, `registry.example/app`
 */
export function simplePayload(name: string, digest: Digest): Buffer {
  // containers-signature(5), with the keys in cosign's order.
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': name },
        image: { 'docker-manifest-digest': digest },
        type: TYPE,
      },
      optional: null,
    }),
  );
}

/** Returns the repository that a payload names, or undefined if it names none. */
export function simpleRepository(payload: Buffer): string | undefined {
  const name = criticalPart(payload)?.identity?.['docker-reference'];
  return typeof name === 'string' ? name : undefined;
}

/**
 * Returns the manifest digest that a payload names.
 * @throws VerificationError if the payload is not that of an image signature
 */
export function simpleSubject(payload: Buffer): string {
  const critical = criticalPart(payload);
  const digest = critical?.image?.['docker-manifest-digest'];
  if (critical?.type !== TYPE || typeof digest !== 'string')
    throw new VerificationError('the payload is not that of an image signature');
  return digest;
}

interface Critical {
  readonly type?: unknown;
  readonly identity?: Readonly<Record<string, unknown>>;
  readonly image?: Readonly<Record<string, unknown>>;
}

function criticalPart(payload: Buffer): Critical | undefined {
  try {
    return (parseJson(payload.toString(), 'the payload') as { critical?: Critical }).critical;
  } catch {
    return undefined;
  }
}
