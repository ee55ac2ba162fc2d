/**
 * Loads the Nx plugin from `dist/` if it was built from the current sources, else from the sources.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { currentBuild } from '../build/manifest.ts';

/** The exports that Nx reads, with types that only Nx knows. */
interface NxPlugin {
  readonly name: string;
  readonly createNodes: unknown;
  readonly createDependencies: unknown;
  readonly postTasksExecution: unknown;
}

const root = join(import.meta.dirname, '../..');
const load = createRequire(import.meta.url);
const file =
  currentBuild(root) === undefined ? 'packages/nx-plugin/src/plugin.ts' : 'dist/nx-plugin/index.js';
const plugin = load(join(root, file)) as NxPlugin;

export const name: string = plugin.name;
export const createNodes: unknown = plugin.createNodes;
export const createDependencies: unknown = plugin.createDependencies;
export const postTasksExecution: unknown = plugin.postTasksExecution;
