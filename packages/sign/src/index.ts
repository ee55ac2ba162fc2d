export { type ClaimedSignature, claimedSigners } from './policy/claimed-signers.ts';
export { collectFromRegistry, collectFromStore, isSignature } from './evidence/collect.ts';
export { type Evidence, type EvidenceItem } from './evidence/evidence.ts';
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
export { type EvidenceSource, judgeImage, type Judgement } from './policy/judge.ts';
export { describePredicate } from './policy/predicates.ts';
export { pullSignatures, type PullSignaturesOptions } from './evidence/pull.ts';
export { type PushedSignatures, pushSignatures } from './evidence/push.ts';
export {
  type ImagesToSign,
  type ImageToSign,
  type SignedImage,
  signImage,
  signImages,
} from './signing/sign.ts';
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
  type Signers,
  trustFor,
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
  type SignedBy,
  type Trust,
  type Verification,
  type VerifiedSignature,
} from './verify/verified.ts';
export { requireSignature, verifyImage } from './verify/verify.ts';
