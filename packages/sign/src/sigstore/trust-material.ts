import type { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import type { TrustMaterial } from '@sigstore/verify';
import { keepCertificateEncoded } from '../bundle/encoded-certificate.ts';
import type { PublicKey } from '../keys/keys.ts';

/** What the verifier trusts: what is in a root, read once for all that is checked with it, and a key if one is. */
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
    keepEncoded(material);
    known.set(root, material);
  }
  if (key === undefined) return material;
  return { ...material, publicKey: () => ({ publicKey: key.key, validFor: () => true }) };
}

const known = new WeakMap<RootMessage, TrustMaterial>();

function keepEncoded({ certificateAuthorities, timestampAuthorities }: TrustMaterial): void {
  for (const { certChain } of [...certificateAuthorities, ...timestampAuthorities])
    for (const certificate of certChain) keepCertificateEncoded(certificate);
}
