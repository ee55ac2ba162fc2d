import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestHex, digestOf } from '@lkt/core';
import { loadImage, openStore } from '@lkt/oci';
import { expect, test } from 'vitest';
import { PendingSync } from '../../src/layers/pending-sync.ts';
import { build, contextOf, scratch } from '../fixture.ts';

const TEXT = `FROM base AS one
RUN echo 1 > /one
COPY file /
RUN cat /file /one > /both
FROM base
COPY --from=one /both /to
RUN cat /to
`;

test('starts no process and loads no native code if every step is known', async () => {
  using directory = scratch();
  const { store, options } = prepare(directory.path);
  const first = await build(store, TEXT, options);
  expect(first.ran).toHaveLength(5);
  const second = await build(store, TEXT, options);
  expect(second.descriptor).toEqual(first.descriptor);
  expect(second.cached).toHaveLength(5);
  // A worker would leave a mark.
  const libraries = process.report.getReport() as unknown as { sharedObjects: string[] };
  expect(libraries.sharedObjects.filter((path) => path.includes('koffi'))).toEqual([]);
});

test('reruns only steps whose inputs changed', async () => {
  using directory = scratch();
  const { store, options, context } = prepare(directory.path);
  const first = await build(store, TEXT, options);
  writeFileSync(join(context, 'file'), 'other');
  const second = await build(store, TEXT, { ...options, context: contextOf(context) });
  expect(second.ran).toEqual([
    'COPY file /',
    'RUN cat /file /one > /both',
    'COPY --from=one /both /to',
    'RUN cat /to',
  ]);
  expect(second.descriptor.digest).not.toBe(first.descriptor.digest);
  // Another command with the same result: the steps after it are known.
  const other = TEXT.replace('cat /file /one', 'cat /file /one -');
  const third = await build(store, other, { ...options, context: contextOf(context) });
  expect(third.ran).toEqual(['RUN cat /file /one - > /both']);
  expect(third.descriptor).toEqual(second.descriptor);
});

test.each([['ENV A=2'], ['SHELL ["/bin/sh", "-ec"]'], ['WORKDIR /tmp']])(
  'reruns a command for another %s',
  async (line) => {
    using directory = scratch();
    const { store } = prepare(directory.path);
    await build(store, 'FROM base\nRUN echo 1 > /one\n');
    const second = await build(store, `FROM base\n${line}\nRUN echo 1 > /one\n`);
    expect(second.ran).toContain('RUN echo 1 > /one');
  },
);

test('reruns no step for another label or command of the image', async () => {
  using directory = scratch();
  const { store } = prepare(directory.path);
  const first = await build(store, 'FROM base\nRUN echo 1 > /one\n');
  const second = await build(store, 'FROM base\nLABEL a=b\nCMD ["x"]\nRUN echo 1 > /one\n');
  expect(second.ran).toEqual([]);
  expect(second.diffIds).toEqual(first.diffIds);
  expect(second.descriptor.digest).not.toBe(first.descriptor.digest);
});

test('reruns every step without the cache, with the same result', async () => {
  using directory = scratch();
  const { store, options } = prepare(directory.path);
  const first = await build(store, TEXT, options);
  const second = await build(store, TEXT, { ...options, noCache: true });
  expect(second.ran).toHaveLength(5);
  expect(second.descriptor).toEqual(first.descriptor);
});

test('replaces a damaged blob without the cache, and keeps an intact one', async () => {
  using directory = scratch();
  const { store, options } = prepare(directory.path);
  const { descriptor } = await build(store, TEXT, options);
  const blobs = await openStore(store);
  const { manifest } = await loadImage(blobs, descriptor.digest, {
    os: 'linux',
    architecture: 'amd64',
  });
  const [whole = '', damaged = ''] = manifest.layers
    .slice(1)
    .map(({ digest }) => blobs.blobPath(digest));
  const bytes = readFileSync(damaged);
  const { ino } = statSync(whole);
  writeFileSync(damaged, Buffer.alloc(bytes.length));
  const second = await build(store, TEXT, { ...options, noCache: true });
  expect(second.descriptor).toEqual(descriptor);
  expect(readFileSync(damaged)).toEqual(bytes);
  expect(statSync(whole).ino).toBe(ino);
});

test('reruns steps whose layers are missing in the store', async () => {
  using directory = scratch();
  const { store, options } = prepare(directory.path);
  const first = await build(store, TEXT, options);
  const opened = await openStore(store);
  for (const name of readdirSync(join(store, 'blobs', 'sha256')))
    rmSync(join(store, 'blobs', 'sha256', name));
  // The blobs are written again from the directories of the layers.
  const second = await build(store, TEXT, options);
  expect(second.descriptor).toEqual(first.descriptor);
  expect(second.ran).toEqual([]);
  expect(await opened.has(first.descriptor.digest)).toBe(true);

  rmSync(join(store, 'layers'), { recursive: true });
  expect((await build(store, TEXT, options)).descriptor).toEqual(first.descriptor);

  for (const name of readdirSync(join(store, 'steps')))
    writeFileSync(join(store, 'steps', name), '{"value":{"diffId"');
  const last = await build(store, TEXT, options);
  expect(last.ran).toHaveLength(5);
  expect(last.descriptor).toEqual(first.descriptor);
});

test('ignores layers that were not on disk before a system crash', async () => {
  using directory = scratch();
  const { store, options } = prepare(directory.path);
  const first = await build(store, TEXT, options);
  const [owner = ''] = readdirSync(join(store, 'unsettled'));
  const pendingSync = join(store, 'unsettled', owner);
  const [boot = ''] = readdirSync(pendingSync);
  const layers = readdirSync(join(store, 'layers', owner));
  expect(readdirSync(join(pendingSync, boot)).toSorted()).toEqual(layers.toSorted());
  // Simulates a crash.
  renameSync(join(pendingSync, boot), join(pendingSync, 'another'));
  const whole = layers.filter((layer) => existsSync(join(store, 'layers', owner, layer, 'one')));
  for (const layer of layers) {
    if (whole.includes(layer)) continue;
    rmSync(join(store, 'layers', owner, layer), { recursive: true });
    mkdirSync(join(store, 'layers', owner, layer));
  }
  const second = await build(store, `${TEXT}RUN cat /to\n`, options);
  expect(second.diffIds.slice(0, -1)).toEqual(first.diffIds);
  // Intact layers still count. Blobs are on disk before they have a name.
  expect(whole).toHaveLength(1);
  expect(second.ran).toEqual(['COPY file /', 'RUN cat /file /one > /both', 'RUN cat /to']);
  expect(readdirSync(pendingSync)).toEqual([boot]);
  expect(readdirSync(join(store, 'layers', owner)).toSorted()).toEqual(layers.toSorted());
});

test('checks the layers of a copied store, which may lack owners, modes and hard links', async () => {
  using directory = scratch();
  const store = join(directory.path, 'store');
  const text = `FROM base
RUN mkdir -m 1777 /d && echo 1 > /d/1 && ln /d/1 /d/2 && chmod 4711 /d/1 && chown 3:4 /d
RUN stat -c '%n %a %u %h' /d /d/1 > /seen
`;
  await build(store, text.replace(/RUN stat.*\n/, ''));
  const copies = ['-r', '-a'].map((flag) => join(directory.path, `copy${flag}`));
  for (const copy of copies) execFileSync('cp', [copy.slice(-2), store, copy]);
  const expected = await build(store, text);
  expect(expected.ran).toHaveLength(1);
  const [changed = '', equal = ''] = copies;
  expect((await build(changed, text)).diffIds).toEqual(expected.diffIds);
  const { diffIds, ran } = await build(equal, text);
  expect(diffIds).toEqual(expected.diffIds);
  expect(ran).toEqual(expected.ran);
});

test('keeps older layers after a crash, once they are known to be on disk', async () => {
  using directory = scratch();
  const pendingSync = new PendingSync(directory.path, 'boot');
  const [old, young] = [digestOf('old'), digestOf('young')];
  let isWritten = false;
  let syncs = 0;
  const settle = async (): Promise<void> =>
    pendingSync.settle(() => {
      syncs += 1;
      pendingSync.add(young);
      return Promise.resolve(isWritten);
    });
  const isLost = (layer: Digest): boolean => new PendingSync(directory.path, 'next').isLost(layer);
  pendingSync.add(old);
  await settle();
  expect(syncs).toBe(0);
  utimesSync(join(directory.path, 'boot', digestHex(old)), 1, 1);
  await settle();
  expect([syncs, isLost(old), isLost(young)]).toEqual([1, true, true]);
  isWritten = true;
  rmSync(join(directory.path, 'boot', digestHex(young)));
  await settle();
  expect([syncs, isLost(old), isLost(young)]).toEqual([2, false, true]);
});

test('builds only the stages that the target needs, and those concurrently', async () => {
  using directory = scratch();
  const { store } = prepare(directory.path);
  const text = `FROM base AS a
RUN date +%s > /begin; sleep 2; date +%s > /end
FROM base AS b
RUN : ; date +%s > /begin; sleep 2; date +%s > /end
FROM base AS unused
RUN false
FROM base
COPY --from=a /begin /end /a/
COPY --from=b /begin /end /b/
RUN [ $(cat /a/begin) -lt $(cat /b/end) ] && [ $(cat /b/begin) -lt $(cat /a/end) ]
`;
  const built = await build(store, text, { cpus: 2 });
  expect(built.ran).toHaveLength(5);
});

function prepare(path: string): {
  store: string;
  context: string;
  options: { context: ReturnType<typeof contextOf> };
} {
  const context = join(path, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'file'), 'content\n');
  return { store: join(path, 'store'), context, options: { context: contextOf(context) } };
}
