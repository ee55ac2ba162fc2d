export { type Artifact } from './artifact.ts';
export { type Manifest } from './manifests.ts';
export { type MirrorOptions, type RegistryOptions } from './options.ts';
export { type PullOptions } from './pull.ts';
export { type PushResult, type PushOptions } from './push.ts';
export { createRegistry } from './registry-client.ts';
export { type Registry, type RegistryReader } from './registry.ts';
export { type MergeResult, type MergeOptions, type TagResult } from './tag-index.ts';
