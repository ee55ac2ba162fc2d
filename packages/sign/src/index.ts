export {
  generateKey,
  type KeyType,
  type PublicKey,
  readPublicKey,
  readSigningKey,
  type SigningKey,
} from './keys/keys.ts';
export {
  evaluatePolicies,
  type EvaluationOptions,
  type PolicyResult,
  type SignatureSource,
} from './policy/evaluate-policies.ts';
export { type ImagePattern, parseImagePattern } from './policy/image-pattern.ts';
export {
  describeSigner,
  describeSigners,
  type NamedImage,
  type SignerRequirement,
  type TrustPolicy,
  type Verdict,
} from './policy/policy.ts';
export { signedSboms } from './policy/signed-documents.ts';
export { describePredicate } from './policy/predicates.ts';
export { parseRefPattern, type RefPattern } from './verify/ref-pattern.ts';
export {
  collectFromRegistry,
  collectFromStore,
  isSignature,
} from './referrers/collect-signatures.ts';
export { type CollectedSignatures } from './referrers/collected-signatures.ts';
export { pullSignedImage } from './referrers/pull-signed-image.ts';
export { pushSignatures } from './referrers/push-signatures.ts';
export { signImage, signImages } from './signing/sign-images.ts';
export { keylessSigner, keySigner, type Signer } from './signing/signer.ts';
export { parseSigningConfig, type SigningServices } from './sigstore/signing-config.ts';
export { ciIdentity } from './sigstore/token.ts';
export { type FetchedRoot, fetchTrustedRoot, PUBLIC_TUF } from './sigstore/tuf.ts';
export { type RootRecord, rootRecordPath } from './sigstore/root-record.ts';
export { parseTrustedRoot, readTrustedRoot, type TrustedRoot } from './sigstore/trusted-root.ts';
export { type Rebuild, rebuildStatement } from './statement/rebuild.ts';
export { SPDX_PREDICATE, type Statement, statementAbout } from './statement/statement.ts';
export { type UnverifiedSigner, unverifiedSigners } from './verify/unverified-signers.ts';
export {
  identityKey,
  type TrustedClaims,
  type TrustedIdentity,
} from './verify/trusted-identity.ts';
export { type Rejection, type SignerId, type VerifiedSignature } from './verify/verification.ts';
