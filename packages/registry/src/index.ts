export { checkLogin } from './auth/check-login.ts';
export {
  listLogins,
  type LoginFile,
  type LoginPlace,
  removeLogin,
  saveLogin,
} from './auth/login-file.ts';
export { type MirrorOptions, type RegistryOptions } from './options.ts';
export { type PullOptions } from './pull.ts';
export { type PushResult, type PushOptions } from './push.ts';
export { publishedTags } from './published.ts';
export { createRegistry, type Registry, type RegistryReader } from './registry.ts';
export { type MergeResult, type MergeOptions, type TagResult } from './tag-index.ts';
