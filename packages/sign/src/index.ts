export { type ClaimedSignature, claimedSigners } from './claimed-signers.ts';
export { collectFromRegistry, collectFromStore, isSignature } from './collect.ts';
export { type Evidence, type EvidenceItem } from './evidence.ts';
export { type ImagePattern, parseImagePattern } from './image-pattern.ts';
export {
  generateKey,
  type KeyOptions,
  type PublicKey,
  readPublicKey,
  readSigningKey,
  type SigningKey,
  type SigningKeyOptions,
} from './keys.ts';
export { type EvidenceSource, judgeImage, type Judgement } from './judge.ts';
export { describePredicate } from './predicates.ts';
export { pullSignatures, type PullSignaturesOptions } from './pull.ts';
export { type PushedSignatures, pushSignatures } from './push.ts';
export {
  type ImagesToSign,
  type ImageToSign,
  type SignedImage,
  signImage,
  signImages,
} from './sign.ts';
export {
  type KeylessOptions,
  keylessSigner,
  keySigner,
  PUBLIC_FULCIO,
  PUBLIC_REKOR,
  type Signer,
  type WitnessOptions,
} from './signer.ts';
export {
  describeSigner,
  evaluatePolicy,
  type NamedImage,
  type Signers,
  trustFor,
  type TrustPolicy,
  type TrustRule,
  type Verdict,
} from './policy.ts';
export { type Rebuild, REBUILD_PREDICATE, rebuildStatement } from './rebuild.ts';
export {
  SIGNATURE_PREDICATE,
  SPDX_PREDICATE,
  type Statement,
  statementAbout,
} from './statement.ts';
export { ciIdentity, type IdentityProvider } from './token.ts';
export { parseTrustedRoot, type TrustedRoot } from './trusted-root.ts';
export {
  type Identity,
  type Rejection,
  type SignedBy,
  type Trust,
  type Verification,
  type VerifiedSignature,
} from './verified.ts';
export { requireSignature, verifyImage } from './verify.ts';
