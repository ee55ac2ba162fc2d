import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Descriptor } from '../../src/image/descriptor.ts';
import { type EntryWithContent } from '../../src/tar/entry.ts';
import { flattenArchives } from '../../src/layer/flatten.ts';
import { layerArchives, UnpackedLayers } from '../../src/layer/layer-archives.ts';
import { writeLayer } from '../../src/layer/layer.ts';
import { LayerMemory } from '../../src/layer/layer-memory.ts';
import { readArchives } from '../../src/layer/read-files.ts';
import { openStore } from '../../src/store/open-store.ts';
import { tempDir } from '../support.ts';

describe.each([
  ['in memory', {}],
  ['in files', { memory: 0 }],
])('UnpackedLayers %s', (_, options) => {
  it('need no blob after the first read, and leave no files', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(300));
    {
      await using unpacked = new UnpackedLayers(store, options);
      const tree = await flattenArchives(unpacked.archives([layer]));
      rmSync(store.blobPath(layer.descriptor.digest));
      expect(await contents(unpacked, [layer], tree)).toEqual(expected(300));
      expect(await contents(unpacked, [layer], tree)).toEqual(expected(300));
    }
    expect(readdirSync(join(store.dir, 'tmp'))).toEqual([]);
  });

  it('can be read concurrently', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    await using unpacked = new UnpackedLayers(store, options);
    const archives = unpacked.archives([layer, layer]);
    const trees = await Promise.all(archives.map(async (one) => flattenArchives([one])));
    for (const tree of trees) expect(tree.size).toBe(101);
    for (const tree of trees)
      expect(await contents(unpacked, [layer], tree)).toEqual(expected(100));
  });

  it('need no blob while they are held, also after a read that keeps nothing', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    const tree = await flattenArchives(layerArchives(store, [layer]));
    await using unpacked = new UnpackedLayers(store, options);
    const holds = [
      await unpacked.hold([layer.descriptor]),
      await unpacked.hold([layer.descriptor]),
    ];
    await flattenArchives(unpacked.archives([layer], { isOnce: true }));
    await holds[0]?.[Symbol.asyncDispose]();
    rmSync(store.blobPath(layer.descriptor.digest));
    expect(await contents(unpacked, [layer], tree)).toEqual(expected(100));
    await holds[1]?.[Symbol.asyncDispose]();
    const again = contents(unpacked, [layer], tree);
    await expect(again).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are unpacked again after an incomplete read', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    await using unpacked = new UnpackedLayers(store, options);
    const [archive] = unpacked.archives([layer]);
    {
      await using opened = archive?.open();
      for await (const chunk of opened?.data ?? []) if (chunk.length > 0) break;
    }
    const tree = await flattenArchives(unpacked.archives([layer]));
    expect(await contents(unpacked, [layer], tree)).toEqual(expected(100));
  });

  it('are verified against their diff id', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    const { diffId } = await writeLayer(store, files(101));
    await using unpacked = new UnpackedLayers(store, options);
    await expect(flattenArchives(unpacked.archives([{ ...layer, diffId }]))).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: `layer ${layer.descriptor.digest} unpacks to ${layer.diffId}, and the config of its image says ${diffId}`,
    });
  });

  it('are verified against their digest', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    const other = await writeLayer(store, files(101));
    copyFileSync(store.blobPath(other.descriptor.digest), store.blobPath(layer.descriptor.digest));
    await using unpacked = new UnpackedLayers(store, options);
    const size = await store.size(layer.descriptor.digest);
    await expect(
      flattenArchives(
        unpacked.archives([{ ...layer, descriptor: { ...layer.descriptor, size: size ?? 0 } }]),
      ),
    ).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});

describe('hold', () => {
  it('waits for room in the memory, which smaller layers may take first', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const sizes = [700_000, 600_000, 100_000, 2_000_000];
    const [first, second, small, large] = await Promise.all(
      sizes.map(async (size) => (await writeLayer(store, zeros(size))).descriptor),
    );
    await using unpacked = new UnpackedLayers(store, { memory: 1_000_000 });
    const order: string[] = [];
    const hold = async (name: string, layers: readonly (Descriptor | undefined)[]) => {
      const held = await unpacked.hold(layers.flatMap((layer) => layer ?? []));
      order.push(name);
      return held;
    };
    const one = await hold('one', [first]);
    const waiting = hold('two', [second]);
    const others = [
      await hold('small', [small]),
      // A layer that another hold keeps needs no more memory, and one too long for it none.
      await hold('same', [first]),
      await hold('large', [large]),
    ];
    expect(order).toEqual(['one', 'small', 'same', 'large']);
    await one[Symbol.asyncDispose]();
    others.push(await waiting);
    expect(order.at(-1)).toBe('two');
    for (const held of others) await held[Symbol.asyncDispose]();
    // Alone, it may need more than all.
    await using both = await hold('both', [first, second]);
    expect(both).toBeDefined();
    expect(order.at(-1)).toBe('both');
  });
});

describe('unpacking ahead', () => {
  it('reads the first layer when it is held', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    const tree = await flattenArchives(layerArchives(store, [layer]));
    await using unpacked = new UnpackedLayers(store);
    await using _ = await unpacked.hold([layer.descriptor]);
    rmSync(store.blobPath(layer.descriptor.digest));
    expect(await contents(unpacked, [layer], tree)).toEqual(expected(100));
  });

  it('leaves it to a reader to report a damaged layer', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const layer = await writeLayer(store, files(100));
    const path = store.blobPath(layer.descriptor.digest);
    const blob = readFileSync(path);
    // The unknown system of the gzip header: it unpacks to the same archive.
    blob[9] = 3;
    rmSync(path);
    writeFileSync(path, blob);
    await using unpacked = new UnpackedLayers(store);
    await using _ = await unpacked.hold([layer.descriptor]);
    await expect(flattenArchives(unpacked.archives([layer]))).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });
});

describe('LayerMemory', () => {
  it('rejects a layer that unpacks to more than the budget', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, zeros(1_000_000));
    const memory = new LayerMemory(900_000);
    expect(await memory.unpack(store, descriptor)).toBeUndefined();
    const { descriptor: small } = await writeLayer(store, zeros(800_000));
    expect(await memory.unpack(store, small)).toHaveLength(801_792);
    expect(await memory.unpack(store, small)).toBeUndefined();
  });

  it.each([
    ['states a length that is too short', -1],
    ['states a length that is too long', 1],
    ['has trailing data', 0],
  ])('leaves a layer that %s to the stream', async (_, more) => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor, diffId } = await writeLayer(store, files(10));
    const blob = await store.readBytes(descriptor);
    const end = blob.length - 4;
    if (more !== 0) blob.writeUInt32LE(blob.readUInt32LE(end) + more, end);
    const changed = more === 0 ? Buffer.concat([blob, Buffer.alloc(7)]) : blob;
    const layer = { diffId, descriptor: { ...descriptor, ...(await store.writeBytes(changed)) } };
    expect(await new LayerMemory(1e6).unpack(store, layer.descriptor)).toBeUndefined();
    await using unpacked = new UnpackedLayers(store);
    const flattened = flattenArchives(unpacked.archives([layer]));
    if (more === 0) expect((await flattened).size).toBe(11);
    else await expect(flattened).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it('unpacks two gzip members like a stream', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor, diffId } = await writeLayer(store, files(10));
    const tar = gunzipSync(await store.readBytes(descriptor));
    const blob = Buffer.concat([gzipSync(tar.subarray(0, 777)), gzipSync(tar.subarray(777))]);
    const layer = { diffId, descriptor: { ...descriptor, ...(await store.writeBytes(blob)) } };
    await using unpacked = new UnpackedLayers(store);
    const tree = await flattenArchives(unpacked.archives([layer]));
    expect(await contents(unpacked, [layer], tree)).toEqual(expected(10));
  });
});

function zeros(size: number): EntryWithContent[] {
  const content = (async function* () {
    yield Buffer.alloc(size);
  })();
  const base = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
  return [{ ...base, path: 'zeros', type: 'file', size, content }];
}

/** Files with attributes whose headers cross the boundaries of read chunks. */
function files(count: number): EntryWithContent[] {
  return Array.from({ length: count }, (_, index) => {
    const content = text(index);
    return {
      path: `file${String(index).padStart(4, '0')}`,
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      size: content.length,
      xattrs: new Map([['user.a', Buffer.alloc(3000, index)]]),
      content: (async function* () {
        yield content;
      })(),
    };
  });
}

function text(index: number): Buffer {
  return Buffer.alloc(index * 37, `${index},`);
}

function expected(count: number): string[] {
  return Array.from({ length: count }, (_, index) => text(index).toString()).filter(
    (one) => one !== '',
  );
}

async function contents(
  unpacked: UnpackedLayers,
  layers: Parameters<UnpackedLayers['archives']>[0],
  tree: Awaited<ReturnType<typeof flattenArchives>>,
): Promise<string[]> {
  const found: string[] = [];
  for await (const file of readArchives(unpacked.archives(layers), tree, () => true)) {
    let data = '';
    for await (const part of file.content ?? []) data += Buffer.from(part).toString();
    if (data === '') continue;
    expect(file.xattrs?.get('user.a')).toHaveLength(3000);
    expect(new Set(file.xattrs?.get('user.a'))).toHaveProperty('size', 1);
    found.push(data);
  }
  return found;
}
