import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { isErrno, type YamlValue } from '@lkt/core';
import type { FleetConfig } from './fleet-yml.ts';
import { childOf } from './group-problem.ts';

/**
 * Requires the programs of a file: of events, drains and attestations. They first run when a node
 * is replaced, too late to report that one is missing.
 * @param path the variable PATH
 * @throws CONFIG_INVALID at the first that cannot be run
 */
export async function requirePrograms(fleet: FleetConfig, path: string): Promise<void> {
  const { at, events, groups } = fleet;
  await requireProgram(childOf(at, 'events') ?? at, events?.command, path);
  for (const { at: group, drain, attest } of groups.values()) {
    await requireProgram(childOf(group, 'drain') ?? group, drain?.command, path);
    await requireProgram(childOf(group, 'attest') ?? group, attest?.command, path);
  }
}

async function requireProgram(
  at: YamlValue,
  command: readonly string[] | undefined,
  path: string,
): Promise<void> {
  const [program] = command ?? [];
  if (program === undefined) return;
  const dirs = path.split(delimiter);
  const places = program.includes('/') ? [program] : dirs.map((dir) => join(dir, program));
  for (const place of places) if (await isExecutable(place)) return;
  const problem = program.includes('/') ? 'is not an executable file' : 'is not in PATH';
  throw (childOf(at, 'command') ?? at).error(`the program ${program} ${problem}`, {
    fix: 'correct the name, or install it and make it executable',
  });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return false;
    throw error;
  }
}
