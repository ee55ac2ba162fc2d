import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { Waivers } from '@lkt/audit';
import { workspaceAt } from '../session/build-tools.ts';
import type { Session } from '../session/session.ts';

const WAIVERS_FILE = '.audit.yml';

/**
 * Reads the waivers: from the given file, else from `.audit.yml` at the top of the checkout, if it
 * exists.
 * @throws LktError NOT_FOUND; CONFIG_INVALID with line and column
 */
export async function readWaivers(session: Session, given: string | undefined): Promise<Waivers> {
  const { cwd } = session.environment;
  const { parseWaivers } = await import('@lkt/audit');
  if (given !== undefined) {
    const text = await textOf(resolve(cwd, given));
    if (text === undefined) throw new LktError('NOT_FOUND', `there is no file ${given}`);
    return parseWaivers({ path: given, text });
  }
  const workspace = await workspaceAt(session, cwd);
  const path = join(workspace.root, WAIVERS_FILE);
  const text = await textOf(path);
  return text === undefined
    ? { files: [], kernels: [] }
    : parseWaivers({ path: workspace.displayPath(path), text });
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return undefined;
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  }
}
