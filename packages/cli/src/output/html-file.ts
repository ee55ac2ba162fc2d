import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ioError } from '@lkt/core';
import { valueFlag } from '../flags/options.ts';
import { print } from './print.ts';

/** The flag of commands that write a page. */
export const htmlFlag = {
  html: valueFlag('FILE', 'write a self-contained HTML page instead; "-" is standard output'),
};

/**
 * Writes a page.
 * @returns lines for people that say so; none for standard output
 * @throws LktError IO_FAILED
 */
export async function writePage(
  file: string,
  cwd: string,
  render: () => Promise<string>,
): Promise<readonly string[]> {
  const page = await render();
  if (file === '-') {
    print(page);
    return [];
  }
  try {
    await writeFile(resolve(cwd, file), page);
  } catch (cause) {
    throw ioError(`cannot write ${file}`, cause);
  }
  return [`${file}  ${(Buffer.byteLength(page) / 1e6).toFixed(1)} MB`];
}
