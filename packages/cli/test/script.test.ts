import { globSync, readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { startRegistry } from '@lkt/testing';
import { test } from 'vitest';
import { parseArchive, runArchive } from '../../../tools/testscript.ts';

const main = join(import.meta.dirname, '../src/main.ts');
const { PATH = '' } = process.env;

for (const file of globSync(join(import.meta.dirname, 'script/*.txtar'))) {
  test.concurrent(basename(file, '.txtar'), { timeout: 300_000 }, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-script-'));
    const text = readFileSync(file, 'utf8');
    await using registry = text.includes('$REGISTRY') ? await startRegistry() : undefined;
    await runArchive(parseArchive(text), {
      dir: dir.path,
      commands: {
        lkt: [process.execPath, main],
        tiny: [process.execPath, join(import.meta.dirname, '../../machine/test/tiny-kernel.ts')],
      },
      env: {
        PATH,
        MAIN: main,
        NODE: process.execPath,
        NODE_COMPILE_CACHE: join(import.meta.dirname, '../../../node_modules/.cache/node'),
        NO_COLOR: '1',
        REGISTRY: registry?.host ?? '',
        LC_ALL: 'C.UTF-8',
        LKT_CACHE: join(dir.path, '.store'),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'A',
        GIT_AUTHOR_EMAIL: 'a@example.com',
        GIT_COMMITTER_NAME: 'A',
        GIT_COMMITTER_EMAIL: 'a@example.com',
      },
    });
  });
}
