export { type FileState } from './action-cache/find-action.ts';
export {
  type ActionInputs,
  noTrustFiles,
  recordAction,
  storeAction,
  storeState,
} from './action-cache/record-action.ts';
export { recordPackages } from './action-cache/record-packages.ts';
export { buildOrder } from './workspace/graph.ts';
export { expandCapabilities } from './container/capabilities.ts';
export { type Device, FILE_MODE } from './container/devices.ts';
export { type Mount } from './container/mounts.ts';
export { type Resources } from './container/resources.ts';
export { type Directory, NAMESPACES, type RuntimeSettings } from './container/runtime.ts';
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
export type { BuildOptions } from './build/build-options.ts';
export type { BuiltPackage } from './build/built-package.ts';
export { buildPackages } from './build/build.ts';
export { isBuiltHere, matchesItsTag } from './build/built-here.ts';
export { type CollectionChanges, compareCollection } from './workspace/compare-collection.ts';
export { WORKSPACE_FILE } from './workspace/find-workspace.ts';
export { type Collection, COLLECTION_FILE } from './workspace/collection.ts';
export {
  type CollectionSource,
  parseWorkspaceFile,
  readWorkspaceFile,
  workspaceSchema,
} from './workspace/workspace-file.ts';
export { buildYmlSchema, type PackageSpec, parseBuildYml } from './build-yml/build-yml.ts';
export { packageGraph, type PackageNode } from './workspace/package-graph.ts';
export { type Environment } from '@lkt/git';
export { imageConfigLabel } from './build-yml/image-config.ts';
export {
  type PackageState,
  packageStates,
  type PinState,
  pinState,
  type UsedImage,
} from './workspace/package-states.ts';
export { layoutName } from './build/layouts.ts';
export {
  lockPackage,
  type LockPackageOptions,
  type LockReport,
  type ResolvedLock,
  resolvePackage,
  writeLock,
} from './debian/lock.ts';
export { lockPath } from './debian/debian-package.ts';
export {
  findLockUpdates,
  lockedPackages,
  type LockUpdateOptions,
  type LockUpdates,
  requireLocks,
} from './debian/lock-updates.ts';
export { updateLocks, updatesLeft } from './debian/update-locks.ts';
export { type PinChange } from './pins/dockerfile-pins.ts';
export { findPins, UNKNOWN_DIGEST } from './pins/find-pins.ts';
export { type ForeignImages, pinForeign } from './pins/foreign-images.ts';
export { ownRecipes } from './pins/own-recipes.ts';
export { foreignUsers, pinWorkspace, publishedReference } from './pins/pin-workspace.ts';
export { supportsPlatforms } from './workspace/platforms.ts';
export { declaresPackage } from './workspace/package-dirs.ts';
export { missingImage } from './build/other-images.ts';
export { missingPin, pinOf, referenceError, type ReferenceProblem } from './pins/check-pin.ts';
export { inspectOptions } from './attest/inspect-options.ts';
export {
  isContentError,
  parseDocument,
  spdxSboms,
  type StoredSbom,
  storedSboms,
  withoutBroken,
} from './attest/stored-sboms.ts';
export { storedAttestations } from './attest/stored-attestations.ts';
export { type ImageQuery, resolveImages } from './pins/resolve-images.ts';
export { type TextEdit, withPin, applyEdits } from './pins/text-edit.ts';
export { showTags, sourceReference } from './pins/show-tag.ts';
export { withDependencies, withDependents } from './workspace/related-packages.ts';
export {
  openWorkspace,
  type Package,
  type Workspace,
  type WorkspaceOptions,
} from './workspace/workspace.ts';
export { containingDirs, findTrustFiles, policyDirs, trustFileIn } from './workspace/trust-file.ts';
export {
  applySourceUpdate,
  findSourceUpdate,
  hasSource,
  isPinnedSource,
  type SourceUpdate,
} from './debian/update-source.ts';
export { pushPackages, type PushedPackage } from './push/push.ts';
export { signPackages, type SignedReference, signReference } from './push/sign.ts';
export { committedReference, type PackageManifest, pushManifests } from './push/manifest.ts';
export { type AttestedRebuild, attestRebuilds } from './attest/attest-rebuilds.ts';
