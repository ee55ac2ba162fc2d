export {
  alternativeNames,
  basicConstraints,
  ecKeys,
  extendedKeyUsage,
  extension,
  forgeCertificate,
  keyUsage,
  Usage,
} from './forged-certificate.ts';
export { der, integer, objectId, sequence } from './der.ts';
export {
  authorityExtensions,
  forge,
  type Forged,
  type ForgedBundle,
  type ForgedEntry,
  type ForgedSignature,
  type Forgery,
  leafExtensions,
} from './forgery.ts';
export {
  idOf as tufKeyId,
  keyDocument as tufKey,
  signed as tufMetadata,
} from './tuf-repository.ts';
