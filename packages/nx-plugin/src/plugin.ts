import { basename, dirname } from 'node:path';
import type { CreateNodes, CreateNodesResult, ProjectConfiguration } from '@nx/devkit';

export const name = '@lkt/nx-plugin';

type Project = Omit<ProjectConfiguration, 'root'>;

/**
 * What a repository knows how to build, by the file that says so: libraries by their package.json, system packages by
 * their build.yml, images by their config. The store is the cache of what is built, so those targets are not cached
 * by Nx: asking lkt again costs less than restoring an output.
 */
export const createNodes: CreateNodes = [
  '{packages/*/package.json,{pkg,tools,kernel}/*/build.yml,examples/*.yml}',
  (files) => files.map((file) => [file, nodesFor(file)] as const),
];

function nodesFor(file: string): CreateNodesResult {
  const root = dirname(file);
  if (file.startsWith('packages/')) return { projects: { [root]: library(root) } };
  if (basename(file) === 'build.yml') return { projects: { [root]: systemPackage(root) } };
  return { projects: { [root]: image(file) } };
}

function library(root: string): Project {
  const inputs = ['source', '^source', '{workspaceRoot}/vitest.config.ts'];
  return {
    targets: { test: { command: `vitest run ${root}/`, cache: true, inputs, outputs: [] } },
  };
}

function systemPackage(root: string): Project {
  return {
    name: root.replace('/', '-'),
    targets: { 'pkg-build': { command: `./lkt pkg build ${root}`, cache: false } },
  };
}

/** All examples share a folder, and a folder is one Nx project: each example is a target of it. */
function image(file: string): Project {
  const target = `image-build--${basename(file, '.yml')}`;
  const command = `./lkt build --dir out ${file}`;
  return { name: 'examples', targets: { [target]: { command, cache: false } } };
}
