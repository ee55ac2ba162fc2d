import {
  lutimesSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, digestHex } from '@lkt/core';
import { expect, test } from 'vitest';
import {
  type CacheArea,
  type Descriptor,
  directoryArea,
  fileArea,
  MediaType,
  openStore,
  type Store,
  writeImage,
  writeLayer,
  writeReferrer,
} from '../../src/index.ts';
import { file, tempDir } from '../support.ts';

const areas = [
  fileArea('notes', 'notes', { blobsOf: (text) => [text.trim() as Digest] }),
  directoryArea('trees', 'trees', true),
];
const everything = { before: Infinity };
const HOUR = 3600_000;

test('removes blobs with the last item that needs them, and referrers with their subject', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  const kept = await image(store, 'kept');
  const noted = await image(store, 'noted');
  const lost = await image(store, 'lost');
  await store.tag('docker.io/lkt/kept:1', kept);
  note(store, 'a', noted.digest);
  const referrers: Descriptor[] = [];
  for (const subject of [kept, noted, lost]) {
    const layer = await store.writeBytes(Buffer.from(`about ${subject.digest}`));
    const layers = [{ mediaType: 'text/plain', ...layer }];
    referrers.push(await writeReferrer(store, { subject, artifactType: 'text/sbom', layers }));
  }
  await store.addReferrer(...referrers);

  const { removed } = await store.prune(areas);
  expect(removed.every(({ area }) => area === 'unreferenced')).toBe(true);
  await expectThere(store, { kept: true, noted: true, lost: false });
  expect((await store.prune(areas, { ...everything, dryRun: true })).bytes).toBeGreaterThan(0);
  await expectThere(store, { kept: true, noted: true, lost: false });
  await store.prune(areas, everything);
  await expectThere(store, { kept: true, noted: false, lost: false });
  expect(readdirSync(join(store.dir, 'notes'))).toEqual([]);
  expect((await store.verify()).bad).toEqual([]);
  await store.prune(areas, { ...everything, images: (name) => name === 'docker.io/lkt/kept:1' });
  await expectThere(store, { kept: false, noted: false, lost: false });
  expect(await store.tags()).toEqual([]);
  expect(readdirSync(join(store.dir, 'blobs/sha256'))).toEqual([]);

  async function expectThere(at: Store, wanted: Record<string, boolean>): Promise<void> {
    const there: Record<string, boolean> = {};
    for (const [index, [name, { digest }]] of Object.entries({ kept, noted, lost }).entries()) {
      there[name] = await at.has(digest);
      expect(await at.has(referrers[index]?.digest ?? digest)).toBe(there[name]);
    }
    expect(there).toEqual(wanted);
  }
});

test('keeps items that other processes have used since they started, even unobservable ones', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  mkdirSync(join(store.dir, 'locks'), { recursive: true });
  // In another container: observable only by its name and times.
  const mark = join(store.dir, 'locks/writer-77.12345.aaaaaaaa.4026530000.0123456789ab');
  symlinkSync('77', mark);
  lutimesSync(mark, ago(0), ago(HOUR));
  const before = await store.writeBytes(Buffer.from('before it began'));
  age(store.blobPath(before.digest), 2 * HOUR);
  const since = await store.writeBytes(Buffer.from('since it began'));
  age(store.blobPath(since.digest), HOUR / 2);
  await store.prune(areas, everything);
  expect(await store.has(before.digest)).toBe(false);
  expect(await store.has(since.digest)).toBe(true);
  // No sign of life for a long time.
  lutimesSync(mark, ago(2 * HOUR), ago(3 * HOUR));
  await store.prune(areas, everything);
  expect(await store.has(since.digest)).toBe(false);
});

test('a lookup waits for a running prune and then sees its result', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  const blob = await store.writeBytes(Buffer.from('x'));
  let answer: boolean | undefined;
  await store.withLock('gc', async () => {
    const looking = store.keep(blob.digest).then((found) => (answer = found));
    await sleep(150);
    expect(answer).toBeUndefined();
    // The work of the pruning process.
    await openStore(directory.path);
    const { unlinkSync } = await import('node:fs');
    unlinkSync(store.blobPath(blob.digest));
    void looking;
  });
  await expect.poll(() => answer).toBe(false);
});

test('measures immutable directories once, and again after sizes.json is damaged', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  mkdirSync(join(store.dir, 'trees/one/deep'), { recursive: true });
  mkdirSync(join(store.dir, 'tmp'), { recursive: true });
  writeFileSync(join(store.dir, 'trees/one/deep/file'), Buffer.alloc(100_000, 1));
  const size = async (): Promise<number> =>
    (await store.inventory(areas)).items.find(({ area }) => area === 'trees')?.bytes ?? 0;
  const first = await size();
  expect(first).toBeGreaterThanOrEqual(100_000);
  writeFileSync(join(store.dir, 'trees/one/deep/more'), Buffer.alloc(100_000, 1));
  expect(await size()).toBe(first);
  writeFileSync(join(store.dir, 'sizes.json'), '{"trees/one":');
  expect(await size()).toBeGreaterThan(first);
});

test('reports a damaged manifest and removes nothing', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  const descriptor = await image(store, 'a');
  await store.tag('docker.io/lkt/a:1', descriptor);
  const path = store.blobPath(descriptor.digest);
  writeFileSync(path, 'x'.repeat(descriptor.size));
  const before = readdirSync(join(store.dir, 'blobs/sha256'));
  await expect(store.prune(areas, everything)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  expect(readdirSync(join(store.dir, 'blobs/sha256'))).toEqual(before);
});

test('leaves no temporary files when it fails halfway', async () => {
  await using directory = await tempDir();
  const store = await openStore(directory.path);
  const { digest } = await image(store, 'a');
  note(store, 'a', digest);
  // A path below a file cannot be moved.
  const paths = [join(store.dir, 'notes/a'), join(store.dir, 'oci-layout/below')];
  const item = { area: 'broken', name: 'a', paths, bytes: 1, lastUsed: 0, blobs: [] };
  const broken: CacheArea = { name: 'broken', list: () => [item] };
  await expect(store.prune([broken], everything)).rejects.toMatchObject({
    code: 'IO_FAILED',
    message: expect.stringMatching(
      /^cannot remove everything chosen from the store at .*: ENOTDIR/,
    ),
  });
  expect(readdirSync(join(store.dir, 'notes'))).toEqual([]);
  expect(readdirSync(join(store.dir, 'tmp'))).toEqual([]);
});

/** Returns a time in the past in seconds. */
function ago(milliseconds: number): number {
  return (Date.now() - milliseconds) / 1000;
}

function age(path: string, milliseconds: number): void {
  utimesSync(path, ago(milliseconds), ago(milliseconds));
}

async function image(store: Store, text: string): Promise<Descriptor> {
  const platform = { os: 'linux', architecture: 'amd64' };
  const layers = [await writeLayer(store, [file(text, text)])];
  const { digest, size } = await writeImage(store, { config: {}, layers, platform });
  return { mediaType: MediaType.ociManifest, digest, size };
}

function note(store: Store, name: string, digest: Digest): void {
  mkdirSync(join(store.dir, 'notes'), { recursive: true });
  writeFileSync(join(store.dir, 'notes', name), `sha256:${digestHex(digest)}\n`);
}
