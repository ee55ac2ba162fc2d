import type { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import type { TrustMaterial } from '@sigstore/verify';
import { cacheCertificateEncoding } from '../bundle/cached-encoding.ts';
import type { PublicKey } from '../keys/keys.ts';

/** Returns the trust material of a root, converted once per root, and of a key if given. */
export async function trustMaterial(
  root: RootMessage,
  key: PublicKey | undefined,
): Promise<TrustMaterial> {
  let material = known.get(root);
  if (material === undefined) {
    const { toTrustMaterial } = await import('@sigstore/verify');
    material = toTrustMaterial(root, () => {
      throw new Error('no key is trusted');
    });
    cacheEncodings(material);
    known.set(root, material);
  }
  if (key === undefined) return material;
  return { ...material, publicKey: () => ({ publicKey: key.key, validFor: () => true }) };
}

const known = new WeakMap<RootMessage, TrustMaterial>();

function cacheEncodings({ certificateAuthorities, timestampAuthorities }: TrustMaterial): void {
  for (const { certChain } of [...certificateAuthorities, ...timestampAuthorities])
    for (const certificate of certChain) cacheCertificateEncoding(certificate);
}
