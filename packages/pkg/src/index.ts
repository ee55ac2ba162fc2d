export { type FileState, fileStates } from './action-cache/file-state.ts';
export {
  type ActionContext,
  type ActionInputs,
  buildYmlStates,
  noTrustFiles,
  recordAction,
  storeAction,
  storeState,
} from './action-cache/record-action.ts';
export { expandCapabilities } from './container/capabilities.ts';
export { type Device, FILE_MODE } from './container/devices.ts';
export { type Mount } from './container/mounts.ts';
export { type Resources } from './container/resources.ts';
export { NAMESPACES, type RuntimeSettings } from './container/runtime.ts';
export { type Seccomp } from './container/seccomp.ts';
export {
  type ServiceDependency,
  type FailureAction,
  type ReadinessCheck,
  type RestartPolicy,
} from './container/supervision.ts';
export {
  type IdOrName,
  ID_OR_NAME,
  parseLabel,
  type Settings,
  withSettings,
} from './container/settings.ts';
export { affectedPackages } from './workspace/affected.ts';
export { packageCacheAreas } from './cache-areas.ts';
export type { BuildArg } from './build-yml/build-args.ts';
export type { Attestations } from './attest/attestations.ts';
export type { BuildOptions } from './build/build-options.ts';
export type { BuildReport, BuiltPackage } from './build/built-package.ts';
export { buildPackages } from './build/build.ts';
export { isBuiltHere, matchesItsTag } from './build/built-here.ts';
export {
  buildYmlSchema,
  type ExtraSource,
  type PackageSpec,
  parseBuildYml,
  type SecretId,
} from './build-yml/build-yml.ts';
export { BUILD_YML } from './workspace/package-dirs.ts';
export { packageGraph, type PackageNode, type PackageUse } from './workspace/package-graph.ts';
export type { FindMirror } from './debian/debian-package.ts';
export { type Environment } from '@lkt/git';
export {
  CONFIG_LABEL,
  IMAGE_CONFIG,
  imageConfigLabel,
  type ImageRuntimeConfig,
  parseImageRuntimeConfig,
} from './build-yml/image-config.ts';
export {
  packageStates,
  type PackageState,
  type PinState,
  pinState,
  type UsedImage,
} from './workspace/package-states.ts';
export { layoutName } from './build/layouts.ts';
export { lockPackage, type LockPackageOptions, type LockReport } from './debian/lock.ts';
export { type PinChange, type PinReport, pinWorkspace } from './pins/pin-workspace.ts';
export { supportsPlatforms } from './workspace/platforms.ts';
export {
  checkPin,
  missingPin,
  pinOf,
  referenceError,
  type ReferenceProblem,
} from './pins/check-pin.ts';
export { readAttestations } from './attest/read-attestations.ts';
export { type ImageQuery, resolveImages } from './pins/resolve-images.ts';
export { type TextEdit, withPin, applyEdits } from './pins/text-edit.ts';
export { showTags, sourceReferences, type TagOptions } from './pins/show-tag.ts';
export type { HashOptions, SourceHash } from './sources/source-hash.ts';
export {
  openWorkspace,
  type Package,
  type Workspace,
  type WorkspaceOptions,
} from './workspace/workspace.ts';
export { findTrustFile, TRUST_FILE, TRUST_FILES } from './workspace/trust-file.ts';
export {
  applySourceUpdate,
  findSourceUpdate,
  hasSource,
  type SourceUpdate,
} from './debian/update-source.ts';
export { writeFileAtomic } from './write-file-atomic.ts';
export { type PackagePushOptions, type PushedPackage, pushPackages } from './push/push.ts';
export type { TargetOptions } from './push/push-plan.ts';
export { signPackages, type SignedReference, signReference } from './push/sign.ts';
export { committedReferences, type PackageManifest, pushManifests } from './push/manifest.ts';
export {
  attestRebuilds,
  type AttestedRebuild,
  type RebuildOptions,
} from './attest/attest-rebuilds.ts';
