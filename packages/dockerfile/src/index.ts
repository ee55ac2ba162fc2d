export {
  type AddPart,
  type ArchiveEntry,
  type CopyEntry,
  type CopyPlan,
  planAdd,
  planCopy,
  type PlanOptions,
  type RemoteEntry,
} from './copy/copy.ts';
export { IgnorePatterns, parseDockerignore, withoutIgnored } from './copy/dockerignore.ts';
export { checkGitSource, gitSource, type GitSource } from './copy/git-source.ts';
export { checkRemoteFile, remoteFile, type RemoteFile } from './copy/remote-file.ts';
export {
  joinPath,
  parentsOf,
  resolveLinks,
  type SourceNode,
  type SourceTree,
} from './copy/source-tree.ts';
export { evaluate, type EvaluateOptions } from './evaluate/evaluate.ts';
export { imageMetadata } from './evaluate/image-metadata.ts';
export { type ImageReference, imageReferences } from './evaluate/references.ts';
export { declaredArgs, PROXY_ARGS } from './evaluate/scope.ts';
export { fromReferences } from './evaluate/stages.ts';
export {
  type BuildPlan,
  type CopySource,
  type CopyStep,
  imageKey,
  type ImageOrigin,
  type Origin,
  type ResolvedMount,
  type RunStep,
  type StagePlan,
  type Step,
  type WorkdirStep,
} from './evaluate/steps.ts';
export type {
  Dockerfile,
  Heredoc,
  Instruction,
  Mount,
  MountType,
  Span,
  Stage,
  Warning,
  Word,
} from './parse/ast.ts';
export { parseDockerfile } from './parse/parse.ts';
export { parseTrigger, triggerError } from './parse/triggers.ts';
