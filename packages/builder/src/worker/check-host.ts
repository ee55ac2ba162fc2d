import { spawnSync } from 'node:child_process';
import { isErrno, LktError } from '@lkt/core';
import { MAP_IDS } from '../system/map-ids.ts';
import { hostEnvironment } from '../system/tools.ts';
import { chooseNamespace } from './namespace.ts';
import { namespaceError } from './namespace-error.ts';

/** The features of this machine that the native engine needs. */
export interface HostCheck {
  readonly isRoot: boolean;
  /** Why nothing can be built here; undefined if something can. */
  readonly error: LktError | undefined;
  /** How to build files of other owners than root; undefined if that works. */
  readonly mapIds: string | undefined;
}

const TIMEOUT_MS = 10_000;

/** Starts a program in the namespaces of a worker, to see whether this machine allows them. */
export function checkHost(): HostCheck {
  const uid = process.getuid?.() ?? 0;
  const { argv, hasUsers, isRoot } = chooseNamespace(uid);
  const [program = '', ...args] = argv;
  const { error, status, stderr } = spawnSync(program, [...args, '--', 'true'], {
    cwd: '/',
    env: hostEnvironment(),
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  const found = { isRoot, mapIds: hasUsers ? undefined : MAP_IDS };
  if (isErrno(error, 'ENOENT')) return { ...found, error: unshareMissing(error) };
  if (status === 0) return { ...found, error: undefined };
  const said = stderr.trim();
  const failure =
    namespaceError(uid, said) ??
    new LktError('HOST_UNSUPPORTED', 'namespaces cannot be made', { detail: said });
  return { ...found, error: failure };
}

/** Returns the error for a machine without unshare. */
export function unshareMissing(cause: unknown): LktError {
  return new LktError('TOOL_MISSING', 'unshare is not installed', {
    cause,
    fix: 'install util-linux',
  });
}
