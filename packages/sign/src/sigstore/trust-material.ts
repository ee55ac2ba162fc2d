import type { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import type { TrustMaterial } from '@sigstore/verify';
import { cacheCertificateEncoding } from '../bundle/cached-encoding.ts';
import type { PublicKey } from '../keys/keys.ts';
import { authorityProblem, Purpose, stamperProblem } from './certificate-profile.ts';

type Authority = TrustMaterial['certificateAuthorities'][number];

/** Trust material, with why it lacks authorities of the root. */
export interface UsableMaterial extends TrustMaterial {
  readonly unusable: {
    readonly certificateAuthorities: readonly string[];
    readonly timestampAuthorities: readonly string[];
  };
}

/** Returns the trust material of a root, converted once per root, and of a key if given. */
export async function trustMaterial(
  root: RootMessage,
  key: PublicKey | undefined,
): Promise<UsableMaterial> {
  let material = known.get(root);
  if (material === undefined) {
    const { toTrustMaterial } = await import('@sigstore/verify');
    const all = toTrustMaterial(root, () => {
      throw new Error('no key is trusted');
    });
    cacheEncodings(all);
    material = withUsableAuthorities(all);
    known.set(root, material);
  }
  if (key === undefined) return material;
  return { ...material, publicKey: () => ({ publicKey: key.key, validFor: () => true }) };
}

const known = new WeakMap<RootMessage, UsableMaterial>();

function cacheEncodings({ certificateAuthorities, timestampAuthorities }: TrustMaterial): void {
  for (const { certChain } of [...certificateAuthorities, ...timestampAuthorities])
    for (const certificate of certChain) cacheCertificateEncoding(certificate);
}

/** Drops authorities whose certificates cannot vouch for a signer's certificate or a time. */
function withUsableAuthorities(material: TrustMaterial): UsableMaterial {
  const certificates = usable(material.certificateAuthorities, ({ certChain }) =>
    certChain.map((one) => authorityProblem(one, Purpose.codeSigning)),
  );
  const timestamps = usable(material.timestampAuthorities, ({ certChain: [signer, ...others] }) => [
    signer === undefined ? undefined : stamperProblem(signer),
    ...others.map((one) => authorityProblem(one, Purpose.timeStamping)),
  ]);
  return {
    ...material,
    certificateAuthorities: certificates.good,
    timestampAuthorities: timestamps.good,
    unusable: {
      certificateAuthorities: certificates.problems,
      timestampAuthorities: timestamps.problems,
    },
  };
}

function usable(
  authorities: readonly Authority[],
  problemsOf: (authority: Authority) => readonly (string | undefined)[],
): { readonly good: Authority[]; readonly problems: readonly string[] } {
  const good: Authority[] = [];
  const problems: string[] = [];
  for (const authority of authorities) {
    const problem = problemsOf(authority).find((one) => one !== undefined);
    if (problem === undefined) good.push(authority);
    else problems.push(problem);
  }
  return { good, problems };
}
