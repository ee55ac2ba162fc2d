import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../../src/index.ts';
import { runScript, tempDir } from '../support.ts';

test('processes hold the lock one at a time, even if some are killed while holding it', async () => {
  await using temp = await tempDir();
  const store = await openStore(join(temp.path, 'store'));
  const counter = join(temp.path, 'counter');
  await writeFile(counter, '0');
  // Increments a counter with a pause between read and write; each process dies once while holding
  // the lock.
  const body = (die: boolean): string =>
    `import { readFileSync, writeFileSync } from 'node:fs';
     const store = await oci.openStore(${JSON.stringify(store.dir)});
     for (let i = 0; i < 10; i++) await store.withLock('count', async () => {
       const n = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'));
       await new Promise((resolve) => setTimeout(resolve, 2));
       writeFileSync(${JSON.stringify(counter)}, String(n + 1));
       if (${die} && i === 4) process.kill(process.pid, 'SIGKILL');
     });`;
  const ends = await Promise.all([0, 1, 2, 3, 4, 5].map(async (n) => runScript(body(n % 2 === 0))));
  expect(ends.map((end) => end.signal ?? end.status)).toEqual([
    'SIGKILL',
    0,
    'SIGKILL',
    0,
    'SIGKILL',
    0,
  ]);
  const { readFile } = await import('node:fs/promises');
  expect(await readFile(counter, 'utf8')).toBe(String(3 * 5 + 3 * 10));
  await store.withLock('count', async () => undefined);
  expect(await readdir(join(store.dir, 'locks'))).toEqual([]);
});
