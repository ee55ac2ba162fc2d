export {
  alternativeNames,
  basicConstraints,
  ecKeys,
  extendedKeyUsage,
  extension,
  keyUsage,
  Usage,
} from './forged-certificate.ts';
export { der, integer, objectId, sequence } from './der.ts';
export {
  authorityExtensions,
  forge,
  type Forged,
  type ForgedBundle,
  type Forgery,
  leafExtensions,
} from './forgery.ts';
export {
  idOf as tufKeyId,
  keyDocument as tufKey,
  signed as tufMetadata,
} from './tuf-repository.ts';
