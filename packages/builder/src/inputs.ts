/** The build context, and the platform on which commands run. Loads no engine. */
export { changedFile, Context, type ContextFile, type ReadContent } from './context/context.ts';
export { buildPlatformFor } from './this-machine.ts';
