import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest } from '@lkt/core';
import { expect, test } from 'vitest';
import { directoryArea, fileArea, openStore } from '../../src/index.ts';
import { runScript, tempDir } from '../support.ts';

const areas = [
  fileArea('notes', 'notes', { blobsOf: (text) => [text.trim() as Digest] }),
  directoryArea('trees', 'trees', true),
];
const everything = { before: Infinity };
test('keeps what a live process has found, whatever its age', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  mkdirSync(join(store.dir, 'trees/one'), { recursive: true });
  mkdirSync(join(store.dir, 'trees/two'), { recursive: true });
  writeFileSync(join(store.dir, 'trees/one/file'), 'x');
  const blob = await store.writeBytes(Buffer.from('found'));
  await sleep(2500);
  let child: ChildProcess | undefined;
  const found = Promise.withResolvers<void>();
  const running = runScript(
    `const store = await oci.openStore(${JSON.stringify(store.dir)});
     const found = await store.keep('${blob.digest}', ${blob.size}) && await store.use(store.dir + '/trees/one');
     if (await store.keep('${blob.digest}', 1) || await store.use(store.dir + '/trees/three')) process.exit(1);
     process.stdout.write(String(found));
     await new Promise((resolve) => setTimeout(resolve, 60_000));`,
    {
      onSpawn: (spawned) => {
        child = spawned;
        spawned.stdout?.once('data', () => found.resolve());
      },
    },
  );
  await found.promise;
  await store.prune(areas, everything);
  expect(await store.has(blob.digest)).toBe(true);
  expect(readdirSync(join(store.dir, 'trees'))).toEqual(['one']);
  child?.kill('SIGKILL');
  await running;
  await store.prune(areas, everything);
  expect(await store.has(blob.digest)).toBe(false);
  expect(readdirSync(join(store.dir, 'trees'))).toEqual([]);
});
