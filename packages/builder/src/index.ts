export { isArchive } from './add/archive.ts';
export { fetchGitFiles, gitKey } from './add/git-layers.ts';
export { fetchRemoteFiles } from './add/remote-files.ts';
export { buildCacheAreas } from './cache-areas.ts';
export { allowedProcessors } from './cgroup/processors.ts';
export {
  changedFile,
  Context,
  type ContextFile,
  type ContextNode,
  type DigestMemo,
} from './context/context.ts';
export { mountPlan } from './context/mount-plan.ts';
export type { BuildContext, BuildRequest, Engine, RunOptions, SecretSource } from './engine.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { nativeEngine } from './native-engine.ts';
export { type CacheLocation, layoutLocation, registryLocation } from './remote-cache/location.ts';
export { RemoteSteps } from './remote-cache/remote-steps.ts';
export { layersOf, planRequest, type RequestPlan } from './request-plan.ts';
export { Redactor } from './secrets/redactor.ts';
export { SecretFinder } from './secrets/secret-finder.ts';
export { findLeak } from './secrets/secret-scan.ts';
export { type Credentials, readCredentials, refuseSecretConfig } from './secrets/secrets.ts';
export { StepCache } from './step-cache.ts';
export { removeDirectory } from './system/remove-directory.ts';
export { findOnPath, isExecutable } from './system/tools.ts';
export { buildPlatformFor, thisMachine } from './this-machine.ts';
export { checkHost, type HostCheck } from './worker/check-host.ts';
export { isRootOfHost } from './worker/namespace.ts';
export { memoryFor } from './worker/layer-memory.ts';
export { WorkerProcess } from './worker/worker-process.ts';
export type { WorkerOptions } from './worker/worker-protocol.ts';
export { stepId, type StepResult, type BuildEnvironment, type Variation } from './variation.ts';
