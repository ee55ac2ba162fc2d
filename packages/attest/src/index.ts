export {
  type Component,
  type ComponentLicense,
  componentsIn,
  type Content,
  debComponent,
  imageComponent,
  type Part,
  upstreamVersion,
} from './component.ts';
export { type CycloneDxDocument, cycloneDxOf } from './cyclonedx.ts';
export { describeImage, type Description, type KnownImage } from './describe-image.ts';
export { type InspectOptions } from './inspect-image.ts';
export { prefetchInspection } from './inspect-layer.ts';
export { type GoBuildInfo, GoBuildInfoScanner } from './go-build-info.ts';
export { goComponent, type GoSuppliers, mergeSuppliers, STANDARD_LIBRARY } from './go-content.ts';
export { isWithin, repositoryOf } from './go-packages.ts';
export { additionsTo } from './foreign-spdx.ts';
export { mergeSpdx } from './merge-spdx.ts';
export { parseSpdx } from './parse-spdx.ts';
export {
  type ExternalParameters,
  type ImageParameters,
  imageProvenanceOf,
  provenanceOf,
  type ProvenanceStatement,
  type ResourceDescriptor,
} from './provenance.ts';
export {
  type AttestationKind,
  findAttestations,
  readAttestation,
  writeProvenance,
  writeSbom,
} from './attestations.ts';
export { packageUrl, type PackageUrlParts, parsePackageUrl } from './purl.ts';
export { contentsOf, type SpdxDocument, spdxOf, spdxPackage } from './spdx.ts';
