import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type EntryWithContent } from '../src/entry.ts';
import { flattenArchives } from '../src/flatten.ts';
import { UnpackedLayers } from '../src/layer-archives.ts';
import { writeLayer } from '../src/layer.ts';
import { LayerMemory } from '../src/layer-memory.ts';
import { readArchives } from '../src/read-files.ts';
import { openStore } from '../src/open-store.ts';
import { tempDir } from './support.ts';

describe.each([
  ['in memory', {}],
  ['in files', { memory: 0 }],
])('layers that are unpacked once, %s,', (_, options) => {
  it('need their blob no more, and leave nothing behind', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, files(300));
    {
      await using unpacked = new UnpackedLayers(store, options);
      const tree = await flattenArchives(unpacked.archives([descriptor]));
      rmSync(store.blobPath(descriptor.digest));
      expect(await contents(unpacked, [descriptor], tree)).toEqual(expected(300));
      expect(await contents(unpacked, [descriptor], tree)).toEqual(expected(300));
    }
    expect(readdirSync(join(store.dir, 'tmp'))).toEqual([]);
  });

  it('may be read by several at once', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, files(100));
    await using unpacked = new UnpackedLayers(store, options);
    const archives = unpacked.archives([descriptor, descriptor]);
    const trees = await Promise.all(archives.map(async (one) => flattenArchives([one])));
    for (const tree of trees) expect(tree.size).toBe(101);
    for (const tree of trees)
      expect(await contents(unpacked, [descriptor], tree)).toEqual(expected(100));
  });

  it('are unpacked again when the first reading did not come to the end', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, files(100));
    await using unpacked = new UnpackedLayers(store, options);
    const [archive] = unpacked.archives([descriptor]);
    {
      await using opened = archive?.open();
      for await (const chunk of opened?.data ?? []) if (chunk.length > 0) break;
    }
    const tree = await flattenArchives(unpacked.archives([descriptor]));
    expect(await contents(unpacked, [descriptor], tree)).toEqual(expected(100));
  });

  it('are checked against their digest', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, files(100));
    const other = await writeLayer(store, files(101));
    copyFileSync(store.blobPath(other.descriptor.digest), store.blobPath(descriptor.digest));
    await using unpacked = new UnpackedLayers(store, options);
    const size = await store.size(descriptor.digest);
    await expect(
      flattenArchives(unpacked.archives([{ ...descriptor, size: size ?? 0 }])),
    ).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});

describe('a layer in memory', () => {
  it('is none that unpacks to more than there is room for', async () => {
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
    ['says to be shorter than it is', -1],
    ['says to be longer than it is', 1],
    ['has something behind its end', 0],
  ])('is none that %s; a stream has its say', async (_, more) => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, files(10));
    const blob = await store.readBytes(descriptor);
    const end = blob.length - 4;
    if (more !== 0) blob.writeUInt32LE(blob.readUInt32LE(end) + more, end);
    const changed = more === 0 ? Buffer.concat([blob, Buffer.alloc(7)]) : blob;
    const layer = { ...descriptor, ...(await store.writeBytes(changed)) };
    expect(await new LayerMemory(1e6).unpack(store, layer)).toBeUndefined();
    await using unpacked = new UnpackedLayers(store);
    const flattened = flattenArchives(unpacked.archives([layer]));
    if (more === 0) expect((await flattened).size).toBe(11);
    else await expect(flattened).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it('of two members is as it is in a stream', async () => {
    await using dir = await tempDir();
    const store = await openStore(join(dir.path, 'store'));
    const { descriptor } = await writeLayer(store, files(10));
    const tar = gunzipSync(await store.readBytes(descriptor));
    const blob = Buffer.concat([gzipSync(tar.subarray(0, 777)), gzipSync(tar.subarray(777))]);
    const layer = { ...descriptor, ...(await store.writeBytes(blob)) };
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

/** Files with attributes, whose headers lie across the pieces in which archives are read. */
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
