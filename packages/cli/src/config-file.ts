import { readFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { isErrno, LktError, type SourceFile } from '@lkt/core';

/**
 * A file that the command line names, with its absolute path. `-` is standard input.
 * @throws LktError NOT_FOUND, UNSUPPORTED (an address on the web)
 */
export async function readConfigFile(
  name: string,
  cwd: string,
): Promise<SourceFile & { readonly absolute: string }> {
  if (name === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return {
      path: 'standard input',
      absolute: resolve(cwd, 'stdin.yml'),
      text: Buffer.concat(chunks).toString(),
    };
  }
  if (/^https?:\/\//.test(name)) {
    throw new LktError('UNSUPPORTED', `${name} is not read: lkt takes configs from files`, {
      fix: 'download it first, and look at it',
    });
  }
  const absolute = resolve(cwd, name);
  const path = relative(cwd, absolute).startsWith('..') ? name : relative(cwd, absolute);
  try {
    return { path, absolute, text: await readFile(absolute, 'utf8') };
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw error;
    const problem = isErrno(error, 'EISDIR')
      ? `${name} is a directory`
      : `there is no file ${name}`;
    throw new LktError('NOT_FOUND', problem, {
      fix: 'name an image config, such as examples/minimal.yml',
    });
  }
}
