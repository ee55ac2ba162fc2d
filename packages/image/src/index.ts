export { type AuditHook, type ImageAudit } from './audit/audit-hook.ts';
export { createImageAudit } from './audit/image-audit.ts';
export { kernelOfConfig, kernelOfImage, type KernelSubject } from './audit/kernel-subject.ts';
export { imageCacheAreas } from './cache.ts';
export { buildImage, type BuildImageOptions } from './build-image.ts';
export { type BuiltImage } from './built-image.ts';
export { composeImage } from './compose.ts';
export { type ComposedImage } from './built-image.ts';
export { type ComposeOptions } from './compose-options.ts';
export { type CiPlan, planForCi, type PlannedPackage } from './ci-plan.ts';
export { type CachedImage, toCachedImage } from './cached-image.ts';
export { type ConfigInputs, configInputs } from './config-inputs.ts';
export {
  type Container,
  imageConfigSchema,
  imageReferencesOf,
  plainConfig,
  type SystemConfig,
} from './config/config.ts';
export {
  type ConfigFile,
  inputFiles,
  inputStates,
  loadConfig,
  type LoadedConfig,
  type LoadOptions,
} from './config/load-config.ts';
export { formatLock, isLockPath, type LockFile, lockPathOf, lockSchema } from './config/lock.ts';
export { packageNames, pinConfig, type PinnedConfig } from './config/pin-config.ts';
export { checkoutConfigs } from './config/checkout-configs.ts';
export { checkServices, type MachineCheck, type MachineTest } from './config/tests.ts';
export { pinnedReference } from './config/pinned-reference.ts';
export { type ImageReference } from './config/reference.ts';
export { type Graph, type GraphEdge, type GraphNode, readGraph } from './graph.ts';
export { errorAt } from './config/fields.ts';
export { readMounted } from './initrd/mounted-reader.ts';
export { type InitrdInfo, readInitrdInfo } from './initrd/info.ts';
export { DISK_FILES, type Format, FORMATS, parseFormat } from './output/formats.ts';
export {
  findKernelUpdate,
  kernelSource,
  type KernelUpdateOptions,
  type UpdatedKernel,
  updateKernel,
} from './kernel-update.ts';
export { ImageCaches } from './image-caches.ts';
export { mergedConfig } from './merged-config.ts';
export { neededPackages } from './needed-packages.ts';
export { type OutputFile } from './output/write.ts';
export { tarOf } from './output/tar.ts';
export { LINUXKIT_PACKAGES, packageList } from './migrate/linuxkit-packages.ts';
export {
  type MigratedConfig,
  migrateConfig,
  type MigrateOptions,
  type MigrationChange,
} from './migrate/migrate-config.ts';
export { type Note } from './migrate/notes.ts';
export {
  type OutdatedReference,
  outdatedReferences,
  type TagSource,
  type Unavailable,
  unavailableReason,
} from './pins/outdated.ts';
export { SavedFiles } from './update/saved-files.ts';
export { checkPins } from './pins/check-pins.ts';
export { pin, pinnedFiles, type PinTargets } from './pins/pin.ts';
export { type PackageImage, type Plan, planImage, type PlanOptions } from './plan.ts';
export { guestFeatures } from './runtime/guest-features.ts';
export { configFilesIn } from './tree/files.ts';
export { type ServicePort } from './tree/ports.ts';
export { update, type UpdateOptions, type UpdateReport } from './update/update.ts';
export {
  describeChanges,
  type FixedVulnerability,
  type UpdatedPackage,
} from './update/updated-packages.ts';
export { containerSpecs, imageSpec } from './runtime/container-specs.ts';
export { type TrustedImage, type TrustOptions } from './trust/check-images.ts';
export { type ImageReport } from './trust/image-report.ts';
export { DERIVED, type DerivedCheck, removeDerived, verifyDerived } from './verify-derived.ts';
