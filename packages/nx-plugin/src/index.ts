export { createDependencies, createNodes, name } from './plugin.ts';
export type { LktOptions } from './options.ts';
