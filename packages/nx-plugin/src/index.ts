export { createDependencies, createNodes, name, postTasksExecution } from './plugin.ts';
export type { LktOptions } from './options.ts';
