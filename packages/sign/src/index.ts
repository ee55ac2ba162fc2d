export { type UnverifiedSigner, unverifiedSigners } from './verify/unverified-signers.ts';
export {
  collectFromRegistry,
  collectFromStore,
  isSignature,
} from './referrers/collect-signatures.ts';
export {
  type CollectedSignatures,
  type UnverifiedSignature,
} from './referrers/collected-signatures.ts';
export { type ImagePattern, parseImagePattern } from './policy/image-pattern.ts';
export {
  generateKey,
  type KeyOptions,
  type PublicKey,
  readPublicKey,
  readSigningKey,
  type SigningKey,
  type SigningKeyOptions,
} from './keys/keys.ts';
export {
  type SignatureSource,
  evaluatePolicies,
  type PolicyResult,
} from './policy/evaluate-policies.ts';
export { describePredicate } from './policy/predicates.ts';
export { pullSignatures, type PullSignaturesOptions } from './referrers/pull-signatures.ts';
export { pullSignedImage } from './referrers/pull-signed-image.ts';
export { type PushedSignatures, pushSignatures } from './referrers/push-signatures.ts';
export {
  type ImagesToSign,
  type ImageToSign,
  type SignedImage,
  signImage,
  signImages,
} from './signing/sign-images.ts';
export {
  type KeylessOptions,
  keylessSigner,
  keySigner,
  PUBLIC_FULCIO,
  PUBLIC_REKOR,
  type Signer,
  type WitnessOptions,
} from './signing/signer.ts';
export {
  describeSigner,
  evaluatePolicy,
  type NamedImage,
  type SignerRequirement,
  trustedSigners,
  type TrustPolicy,
  type TrustRule,
  type Verdict,
} from './policy/policy.ts';
export { type Rebuild, REBUILD_PREDICATE, rebuildStatement } from './statement/rebuild.ts';
export {
  SIGNATURE_PREDICATE,
  SPDX_PREDICATE,
  type Statement,
  statementAbout,
} from './statement/statement.ts';
export { ciIdentity, type IdentityProvider } from './sigstore/token.ts';
export { parseTrustedRoot, type TrustedRoot } from './sigstore/trusted-root.ts';
export {
  type Identity,
  type Rejection,
  type SignerId,
  type TrustedSigners,
  type Verification,
  type VerifiedSignature,
} from './verify/verification.ts';
export { requireSignature, verifyImage } from './verify/verify-image.ts';
