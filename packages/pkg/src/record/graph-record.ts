import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import type { Environment } from '@lkt/git/checkout';
import { BUILD_YML } from '../workspace/package-dirs.ts';
import type { PackageNode } from '../workspace/package-graph.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { fileState } from './file-state.ts';
import type { CommandRecord } from './seen.ts';
import { sourceDirs } from './source-dirs.ts';
import { hashIn, sourceState } from './source-state.ts';

/** What was found out about packages, without building any. */
export interface FoundGraph<Result> {
  readonly workspace: Workspace;
  readonly nodes: readonly PackageNode[];
  /** Other files that were read; absolute. */
  readonly files: readonly string[];
  readonly result: Result;
}

/**
 * A record of it for `findRecord`.
 * @param start where the workspace was opened
 * @returns undefined where there is none, as for `Recorder`: sources that are not committed, packages with mistakes, and
 * what cannot be looked at
 */
export function graphRecord<Result>(
  { workspace, nodes, files, result }: FoundGraph<Result>,
  start: string,
  env: Environment,
): CommandRecord<Result> | undefined {
  if (workspace.problems.length > 0 || workspace.buildYml !== BUILD_YML) return undefined;
  const dirs = [...workspace.packages.values()].flatMap(sourceDirs);
  const sources = sourceState(start, dirs, env);
  if (sources === undefined || sources.top !== workspace.gitTop) return undefined;
  const isSame = ({ hash, directories }: PackageNode): boolean =>
    !hash.dirty && hash.committed === hashIn(sources, directories);
  if (!nodes.every(isSame)) return undefined;
  const states: Record<string, string> = {};
  for (const file of files) {
    const state = fileState(file);
    if (state === undefined) return undefined;
    states[file] = state;
  }
  for (const { dir, file } of workspace.packages.values()) {
    const path = join(dir, BUILD_YML);
    if (fileState(path) !== digestOf(file.text)) return undefined;
    states[path] = digestOf(file.text);
  }
  return { files: states, sources, used: [], events: [], result };
}
