/** The context of a build, and the platform that its commands run on. Loads no engine. */
export { changedFile, Context, type ContextFile } from './context/context.ts';
export { buildPlatformFor } from './this-machine.ts';
