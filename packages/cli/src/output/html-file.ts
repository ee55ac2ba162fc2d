import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ioError, LktError } from '@lkt/core';
import { valueFlag } from '../flags/options.ts';
import { showSize } from '../flags/sizes.ts';
import { print } from './print.ts';

/** The flag of commands that write a page. */
export const htmlFlag = {
  html: valueFlag('FILE', 'write a self-contained HTML page instead; "-" is standard output'),
};

/**
 * Writes a page.
 * @param json whether standard output has the result as JSON
 * @returns lines for people that say so; none for standard output
 * @throws LktError IO_FAILED; USAGE_INVALID for standard output that has JSON
 */
export async function writePage(
  file: string,
  { cwd, json }: { readonly cwd: string; readonly json: boolean },
  render: () => Promise<string>,
): Promise<readonly string[]> {
  if (file === '-' && json)
    throw new LktError('USAGE_INVALID', '--json and --html - both need standard output', {
      fix: 'write the page into a file',
    });
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
  return [`${file}  ${showSize(Buffer.byteLength(page))}`];
}
