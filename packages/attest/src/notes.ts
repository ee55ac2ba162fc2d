// Small, and without imports that are large: a build that has nothing to do asks for no more than this.

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import type { Store } from '@lkt/oci';

/** Last line of a list, so that one a crash has cut short is seen. */
const END = 'end';

/** A file in which something is remembered that follows from what is in the store. */
export function noteFile(store: Store, kind: string, name: string): string {
  return join(store.dir, 'attestations', kind, name);
}

/** The lines of a note, if it is there and whole. */
export async function readNote(path: string): Promise<readonly string[] | undefined> {
  try {
    const lines = (await readFile(path, 'utf8')).split('\n');
    return lines.pop() === END ? lines : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

export async function writeNote(
  path: string,
  lines: readonly string[],
): Promise<readonly string[]> {
  await mkdir(join(path, '..'), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, [...lines, END].join('\n'));
  await rename(temporary, path);
  return lines;
}
