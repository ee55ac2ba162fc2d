/** What can be said of a build before it is done: the language and the context. Loads no engine. */
export { changedFile, Context, type ContextFile } from './context.ts';
export type { Dockerfile } from './dockerfile/ast.ts';
export { parseDockerfile } from './dockerfile/parse.ts';
export { PROXY_ARGS } from './dockerfile/scope.ts';
export { type ImageReference, imageReferences } from './dockerfile/references.ts';
export { withoutIgnored } from './dockerignore.ts';
export { buildPlatformFor } from './this-machine.ts';
