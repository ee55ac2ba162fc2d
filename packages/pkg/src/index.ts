export { expandCapabilities } from './container/capabilities.ts';
export { type Device, MODE } from './container/devices.ts';
export { type Mount } from './container/mounts.ts';
export { type Resources } from './container/resources.ts';
export { NAMESPACES, type RuntimeSettings } from './container/runtime.ts';
export { type Seccomp } from './container/seccomp.ts';
export { type After, type OnFailure, type Ready, type Restart } from './container/supervision.ts';
export { type Id, ID, parseLabel, type Settings, withSettings } from './container/settings.ts';
export { affectedPackages } from './affected.ts';
export { packageCacheAreas } from './cache-areas.ts';
export type { GivenArg } from './build-args.ts';
export type { Attestations } from './attest.ts';
export type { BuildOptions } from './build-options.ts';
export type { BuildReport, BuiltPackage } from './built-package.ts';
export { buildPackages } from './build.ts';
export { isBuiltHere, isOfItsTag } from './built-here.ts';
export {
  type BuildArg,
  buildYmlSchema,
  type ExtraSource,
  type PackageSpec,
  parseBuildYml,
  type SecretId,
} from './build-yml.ts';
export { BUILD_YML } from './package-dirs.ts';
export { packageGraph, type PackageNode, type PackageUse } from './package-graph.ts';
export type { FindMirror } from './debian-package.ts';
export { type Environment } from '@lkt/git';
export {
  CONFIG_LABEL,
  IMAGE_CONFIG,
  imageConfigLabel,
  type ImageRuntimeConfig,
  parseImageRuntimeConfig,
} from './image-config.ts';
export {
  packageStates,
  type PackageState,
  type PinState,
  pinState,
  type UsedImage,
} from './package-states.ts';
export { layoutName } from './layouts.ts';
export { lockPackage, type LockPackageOptions, type LockReport } from './lock.ts';
export { type PinChange, type PinReport, pinWorkspace } from './pin.ts';
export { isFor } from './platforms.ts';
export { checkPin, missingPin, pinOf, problemError, type ReferenceProblem } from './pins.ts';
export { readAttestations } from './read-attestations.ts';
export { type ImageQuery, resolveImages } from './resolve-images.ts';
export { type Edit, repin, rewriteReferences } from './rewrite.ts';
export { showTags, sourceNames, type TagOptions } from './show-tag.ts';
export { type HashOptions, type SourceHash, sourceHash } from './source-hash.ts';
export { openWorkspace, type Package, type Workspace, type WorkspaceOptions } from './workspace.ts';
export { findTrustFile, TRUST_FILE, TRUST_FILES } from './trust-file.ts';
export {
  applySourceUpdate,
  findSourceUpdate,
  hasSource,
  type SourceUpdate,
} from './update-source.ts';
export { writeFileWhole } from './write-file.ts';
export { type FetchImage } from './other-images.ts';
export { type PackagePushOptions, type PushedPackage, pushPackages } from './push.ts';
export type { TargetOptions } from './push-work.ts';
export { signPackages, type SignedReference, signReference } from './sign.ts';
export { committedReferences, type PackageManifest, pushManifests } from './manifest.ts';
export { attestRebuilds, type AttestedRebuild, type RebuildOptions } from './rebuild.ts';
export { graphRecord } from './record/graph-record.ts';
export { PackageRecorder } from './record/package-recorder.ts';
export { Recorder, type RecordPlace } from './record/recorder.ts';
