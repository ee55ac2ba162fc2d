import { canonicalJson, isDeep } from '@lkt/core';
import type { CollectedSignatures } from '../referrers/collected-signatures.ts';
import type { VerifiedSignature } from '../verify/verification.ts';
import { verifyImage } from '../verify/verify-image.ts';
import { type NamedImage, isSignedAs, trustedSigners, type TrustPolicy } from './policy.ts';

/**
 * Predicate types of SBOMs: SPDX and CycloneDX, also with the version of the format as in in-toto's
 * list of predicates.
 */
const SBOM_PREDICATE = /^https:\/\/(?:spdx\.dev\/Document|cyclonedx\.org\/bom)(?:\/v[\d.]+)?$/;

/**
 * Returns the SBOMs of an image, in SPDX 2 or CycloneDX, that are signed as policies require for
 * the image: each policy with signers for it needs enough of them to have signed the same SBOM.
 * None without such a policy.
 * @param collected signatures beside the image, in any order
 */
export async function signedSboms(
  image: NamedImage,
  policies: readonly TrustPolicy[],
  collected: CollectedSignatures,
): Promise<readonly unknown[]> {
  const results: { readonly policy: TrustPolicy; readonly groups: Groups }[] = [];
  for (const policy of policies) {
    const trust = trustedSigners(policy, image);
    if (trust === undefined) continue;
    const { signatures } = await verifyImage({ subject: image.digest, collected, trust });
    const sboms = signatures.filter(
      ({ predicateType, predicate }) =>
        SBOM_PREDICATE.test(predicateType) && isReadable(predicate) && !isDeep(predicate),
    );
    results.push({
      policy,
      groups: Map.groupBy(sboms, ({ predicate }) => canonicalJson(predicate)),
    });
  }
  const texts = new Set(results.flatMap(({ groups }) => [...groups.keys()]));
  const isSigned = (text: string): boolean => {
    const verdicts = results.map(({ policy, groups }) =>
      isSignedAs(policy, image, groups.get(text) ?? []),
    );
    return verdicts.includes(true) && !verdicts.includes(false);
  };
  return [...texts].filter(isSigned).map((text) => JSON.parse(text) as unknown);
}

/** Reports whether a document is SPDX 2 or CycloneDX. */
function isReadable(document: unknown): boolean {
  const { spdxVersion, bomFormat } = (document ?? {}) as Record<string, unknown>;
  const isSpdx = typeof spdxVersion === 'string' && spdxVersion.startsWith('SPDX-2.');
  return isSpdx || bomFormat === 'CycloneDX';
}

/** Signatures by the canonical text of what they sign. */
type Groups = ReadonlyMap<string, readonly VerifiedSignature[]>;
