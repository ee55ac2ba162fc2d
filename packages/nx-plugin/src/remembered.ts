import { existsSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canonicalJson, digestOf } from '@lkt/core';
import { findRecord } from '@lkt/pkg/record';
import type { Found } from './found.ts';
import type { Settings } from './options.ts';
import { inPlainWords } from './plain-error.ts';

/** In the directory of layouts: what was found last, with all that it follows from. */
const RECORD = '.found.json';

type Environment = Readonly<Record<string, string | undefined>>;

interface Remembered {
  readonly key: string;
  readonly found: Found;
}

/**
 * The packages and images of a workspace: as they were found last, if all that was looked at is as it was. To see that takes
 * a tenth of the time that it takes to find them, and of the program.
 * @throws PlainError for a mistake in a package
 */
export async function findOnce(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Environment,
): Promise<Found> {
  const key = keyOf(root, files, settings, env);
  const path = join(root, settings.layouts, RECORD);
  if (key !== undefined) {
    const known = findRecord<Remembered>(path, env)?.result;
    if (known?.key === key) return known.found;
  }
  const { find } = await import('./found.ts');
  const { found, recordOf } = await find(root, files, settings, env).catch(inPlainWords);
  // Where no package was built, nothing is written.
  if (key !== undefined && existsSync(dirname(path)))
    await write(path, recordOf({ key, found } satisfies Remembered));
  return found;
}

/** What cannot be seen in files of the workspace; undefined for a plugin from its sources, which says not which they are. */
function keyOf(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Environment,
): string | undefined {
  const program = fileURLToPath(import.meta.url);
  if (basename(program) !== 'index.js') return undefined;
  const read = Object.entries(env).filter(([name]) =>
    /^(?:GIT_|HOME$|XDG_CONFIG_HOME$)/.test(name),
  );
  return digestOf(
    canonicalJson({
      // It names its parts by what is in them.
      program: digestOf(readFileSync(program)),
      root,
      files,
      settings,
      user: process.getuid?.() ?? 0,
      variables: Object.fromEntries(read),
    }),
  );
}

async function write(path: string, record: object | undefined): Promise<void> {
  if (record === undefined) return;
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, JSON.stringify(record));
  await rename(temporary, path);
}
