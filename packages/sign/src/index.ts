export { type Evidence, type EvidenceItem } from './evidence.ts';
export {
  generateKey,
  type KeyOptions,
  type PublicKey,
  readPublicKey,
  readSigningKey,
  type SigningKey,
  type SigningKeyOptions,
} from './keys.ts';
export {
  SIGNATURE_PREDICATE,
  SPDX_PREDICATE,
  type Statement,
  statementAbout,
} from './statement.ts';
export { parseTrustedRoot, type TrustedRoot } from './trusted-root.ts';
export {
  type Identity,
  type Rejection,
  type SignedBy,
  type Trust,
  type Verification,
  type VerifiedSignature,
} from './verified.ts';
