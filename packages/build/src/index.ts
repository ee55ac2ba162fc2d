export { type BuildkitOptions, buildkitEngine } from './buildkit/engine.ts';
export { buildCacheAreas } from './cache-areas.ts';
export type { Cause, CauseKind } from './check/cause.ts';
export { checkBuild, type CheckOptions } from './check/check.ts';
export { Elsewhere } from './check/elsewhere.ts';
export { compareImages } from './check/compare-images.ts';
export {
  type CheckReport,
  checkRemarks,
  describeCheck,
  type FileDifference,
  type StepDifference,
} from './check/report.ts';
export {
  changedFile,
  Context,
  type ContextFile,
  type ContextNode,
  type DigestMemo,
} from './context.ts';
export type {
  Dockerfile,
  Heredoc,
  Instruction,
  Mount,
  MountType,
  Place,
  Stage,
  Warning,
  Word,
} from './dockerfile/ast.ts';
export {
  type CopyEntry,
  type CopyPlan,
  planCopy,
  type SourceNode,
  type SourceTree,
} from './dockerfile/copy.ts';
export { evaluate, type EvaluateOptions } from './dockerfile/evaluate.ts';
export { parseDockerfile } from './dockerfile/parse.ts';
export { type ImageReference, imageReferences } from './dockerfile/references.ts';
export type {
  BuildPlan,
  CopySource,
  CopyStep,
  ImageOrigin,
  Origin,
  ResolvedMount,
  RunStep,
  StagePlan,
  Step,
  WorkdirStep,
} from './dockerfile/steps.ts';
export { IgnorePatterns, parseDockerignore, withoutIgnored } from './dockerignore.ts';
export type { BuildContext, BuildRequest, Engine, SecretSource } from './engine.ts';
export { gitSource } from './git/git-source.ts';
export { removeDirectory } from './native/remove-directory.ts';
export { nativeEngine } from './native/engine.ts';
export { type CachePlace, layoutPlace, registryPlace } from './remote-cache/place.ts';
export type { RemoteStepCache, StepFact } from './remote-cache/remote-step-cache.ts';
export { RemoteSteps } from './remote-cache/remote-steps.ts';
export { buildPlatformFor } from './this-machine.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { thisMachine } from './this-machine.ts';
