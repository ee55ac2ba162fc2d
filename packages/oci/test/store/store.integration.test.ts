import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MediaType, openStore } from '../../src/index.ts';
import { runScript, tempDir, putJson, withStore } from '../support.ts';

/** Returns a command that runs in its own mount namespace, in which `setup` may mount. */
function inNamespace(setup: string, command: string[]): string[] {
  const root = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return ['unshare', '--mount', ...root, 'sh', '-ec', `${setup}; exec "$@"`, 'sh', ...command];
}

describe('openStore', () => {
  test('concurrent processes create one store', async () => {
    await using temp = await tempDir();
    const dir = join(temp.path, 'store');
    const body = `await oci.openStore(${JSON.stringify(dir)});`;
    const ends = await Promise.all(Array.from({ length: 6 }, () => runScript(body)));
    for (const end of ends) expect(end).toMatchObject({ status: 0, stderr: '' });
    await Promise.all(Array.from({ length: 60 }, () => openStore(join(temp.path, 'other'))));
  });

  test('reads a store that is not writable', async () => {
    await withStore(async (store) => {
      const blob = await store.writeBytes(Buffer.from('content'));
      await store.tag('a', { mediaType: MediaType.ociManifest, ...blob });
      await mkdir(join(store.dir, 'tmp', '1.1.aaaaaaaa.1.000000000000'));
      const dir = JSON.stringify(store.dir);
      const end = await runScript(
        `const store = await oci.openStore(${dir});
         const { digest } = await store.resolve('a');
         console.log(String(await store.readBytes({ digest })), (await store.tags()).length);
         await store.verify();
         await store.writeBytes(Buffer.from('new')).catch((error) => console.log(error.code));`,
        {
          wrap: (command) =>
            inNamespace(`mount --bind ${dir} ${dir} && mount -o remount,bind,ro ${dir}`, command),
        },
      );
      expect(end).toMatchObject({ stderr: '', stdout: 'content 1\nIO_FAILED\n', status: 0 });
    });
  });
});

describe('full disk', () => {
  const dir = '/mnt';
  const full = (body: string): ReturnType<typeof runScript> =>
    runScript(
      `import { readdirSync, writeFileSync } from 'node:fs';
       const files = () => readdirSync('${dir}', { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).length;
       async function* data(size) { for (let i = 0; i < size; i += 65536) yield Buffer.alloc(65536, 'x'); }
       const store = await oci.openStore('${dir}/store');
       const kept = await store.write(data(65536));
       await store.tag('kept', { mediaType: 'x', ...kept });
       const before = files();
       ${body}`,
      { wrap: (command) => inNamespace(`mount -t tmpfs -o size=1m,mode=755 none ${dir}`, command) },
    );

  test('reports DISK_FULL, keeps the store intact and works again once there is space', async () => {
    const end = await full(
      `for (let round = 0; round < 3; round++) await store.write(data(4e6)).catch((e) => console.log(e.code, e.fix));
       console.log(files() === before, (await store.verify()).bad.length, (await store.resolve('kept')).digest === kept.digest);
       await store.write(data(400_000));
       console.log((await store.prune([])).removed.length);`,
    );
    expect(end).toMatchObject({ status: 0, stderr: '' });
    expect(end.stdout).toBe(
      `${'DISK_FULL free some space, for example with: lkt cache clean\n'.repeat(3)}true 0 true\n1\n`,
    );
  });

  test('keeps the old tags if a new one does not fit', async () => {
    const end = await full(
      `try { for (let i = 0; ; i++) writeFileSync('${dir}/fill' + i, Buffer.alloc(4096)); } catch {}
       await store.tag('new', { mediaType: 'x', ...kept }).catch((e) => console.log(e.code));
       console.log((await store.tags()).map((tag) => tag.reference).join());
       console.log(readdirSync('${dir}/store/tmp').length);`,
    );
    expect(end).toMatchObject({ status: 0, stderr: '', stdout: 'DISK_FULL\nkept\n0\n' });
  });
});

describe('tags', () => {
  test('concurrent processes lose no tag', async () => {
    await withStore(async (store) => {
      const blob = await putJson(store, MediaType.ociManifest, 1);
      const ends = await Promise.all(
        Array.from({ length: 4 }, async (_, process) =>
          runScript(
            `const store = await oci.openStore(${JSON.stringify(store.dir)});
             const blob = ${JSON.stringify(blob)};
             await Promise.all(Array.from({ length: 5 }, async (_, i) => {
               await store.writeBytes(Buffer.from('p${process} ' + i));
               await store.tag('p${process}-' + i, blob);
               if (i === 4) await store.untag('p${process}-0');
             }));`,
          ),
        ),
      );
      for (const end of ends) expect(end).toMatchObject({ status: 0, stderr: '' });
      const names = (await store.tags())
        .map((tag) => tag.reference)
        .filter((name) => !name.endsWith('-0'));
      expect(names).toEqual([0, 1, 2, 3].flatMap((p) => [1, 2, 3, 4].map((i) => `p${p}-${i}`)));
      expect(await store.verify()).toMatchObject({ checked: 21, bad: [] });
    });
  });
});

describe('killed processes', () => {
  test('kill -9 while writing and tagging leaves an intact store without temporary files', async () => {
    await withStore(async (store) => {
      for (let round = 0; round < 12; round += 1) {
        const victim = runScript(
          `const store = await oci.openStore(${JSON.stringify(store.dir)});
           async function* data(i) { for (let k = 0; k < 20; k++) yield Buffer.alloc(50_000, i + ' ' + k); }
           process.stdout.write('started');
           await store.tempDir();
           for (let i = ${round} * 1000; ; i++) {
             const blob = await store.write(data(i));
             await store.tag('round' + i, { mediaType: 'x', ...blob });
             if (i === ${round} * 1000) process.stdout.write('named');
           }`,
          {
            onSpawn: (child) => {
              // Kills alternately at the first write and after tagging, however long that takes
              // here.
              const word = round % 2 === 0 ? 'started' : 'named';
              child.stdout?.on('data', (text: string | Buffer) => {
                if (String(text).includes(word))
                  setTimeout(() => child.kill('SIGKILL'), 5 + round * 9);
              });
            },
          },
        );
        expect((await victim).signal).toBe('SIGKILL');
        const next = await openStore(store.dir);
        expect(await readdir(join(store.dir, 'tmp'))).toEqual([]);
        for (const { descriptor } of await next.tags())
          expect(await next.size(descriptor.digest)).toBe(descriptor.size);
        const blob = await next.writeBytes(Buffer.from(`after ${round}`));
        await next.tag('after', { mediaType: 'x', ...blob });
      }
      expect((await store.verify()).bad).toEqual([]);
      expect((await store.tags()).length).toBeGreaterThan(1);
      await store.prune([]);
      const locks = await readdir(join(store.dir, 'locks'));
      expect(locks.filter((name) => !name.startsWith('writer-'))).toEqual([]);
    });
  });
});

describe('prune', () => {
  test('keeps the untagged blobs of a writing process, and a writer waits for it', async () => {
    await withStore(async (store) => {
      let writing: ChildProcess | undefined;
      const started = Promise.withResolvers<void>();
      const writer = runScript(
        `const store = await oci.openStore(${JSON.stringify(store.dir)});
         await store.writeBytes(Buffer.from('not named yet'));
         process.stdout.write('written');
         await new Promise((resolve) => setTimeout(resolve, 60_000));`,
        {
          onSpawn: (child) => {
            child.stdout?.once('data', () => started.resolve());
            writing = child;
          },
        },
      );
      await started.promise;
      expect((await store.prune([])).removed).toEqual([]);
      writing?.kill('SIGKILL');
      await writer;
      expect((await store.prune([])).removed).toHaveLength(1);

      let isDone = false;
      await store.withLock('gc', async () => {
        const other = await openStore(store.dir);
        const written = other.writeBytes(Buffer.from('x')).then(() => (isDone = true));
        await sleep(150);
        expect(isDone).toBe(false);
        void written;
      });
      await expect.poll(() => isDone).toBe(true);
    });
  });
});
