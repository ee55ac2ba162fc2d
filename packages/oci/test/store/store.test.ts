import {
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Digest, digestHex, digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  adoptable,
  type Descriptor,
  directoryArea,
  fileArea,
  MediaType,
  openStore,
  type Store,
} from '../../src/index.ts';
import { chunks, collect, failure, run, tempDir, putJson, withStore } from '../support.ts';

const ABSENT = digestOf('absent');

/** Names of all files below, except locks and marks. */
async function filesIn(store: Store): Promise<string[]> {
  const names = await readdir(store.dir, { recursive: true, withFileTypes: true });
  return names
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name).slice(store.dir.length + 1))
    .toSorted();
}

async function failsToRead(): Promise<boolean> {
  throw new Error('a disk failed');
}

describe('openStore', () => {
  test('creates an OCI layout and opens it again', async () => {
    await using temp = await tempDir();
    const dir = join(temp.path, 'a/b');
    await openStore(dir);
    await openStore(dir);
    // image-spec, image-layout.md.
    expect(JSON.parse(await readFile(join(dir, 'oci-layout'), 'utf8'))).toEqual({
      imageLayoutVersion: '1.0.0',
    });
    expect(JSON.parse(await readFile(join(dir, 'index.json'), 'utf8'))).toEqual({
      schemaVersion: 2,
      mediaType: MediaType.ociIndex,
      manifests: [],
    });
    expect((await stat(join(dir, 'blobs/sha256'))).isDirectory()).toBe(true);
  });

  test('creates nothing with create: false', async () => {
    await using temp = await tempDir();
    await failure('NOT_FOUND', openStore(join(temp.path, 'none'), { create: false }));
    expect(await readdir(temp.path)).toEqual([]);
  });

  test('creates a layout beside the code that Node compiled when lkt started', async () => {
    await using temp = await tempDir();
    await mkdir(join(temp.path, 'compiled'));
    await openStore(temp.path);
    expect(await readdir(temp.path)).toContain('oci-layout');
  });

  test('rejects a directory with other content', async () => {
    await using temp = await tempDir();
    await writeFile(join(temp.path, 'thesis.tex'), '');
    const error = await failure('IO_FAILED', openStore(temp.path));
    expect(error.message).toContain('thesis.tex');
    expect(await readdir(temp.path)).toEqual(['thesis.tex']);
  });

  test('completes an interrupted creation', async () => {
    await using temp = await tempDir();
    await mkdir(join(temp.path, 'tmp'));
    await openStore(temp.path);
    await rm(join(temp.path, 'index.json'));
    await rm(join(temp.path, 'blobs'), { recursive: true });
    const store = await openStore(temp.path);
    expect(await store.tags()).toEqual([]);
    const blob = await store.writeBytes(Buffer.from('x'));
    await store.tag('a', { mediaType: MediaType.ociManifest, ...blob });
    expect(await store.tags()).toHaveLength(1);
  });

  test.each(['{"imageLayoutVersion":"2.0.0"}', 'x', ''])(
    'rejects the layout version %j',
    async (text) => {
      await withStore(async (store) => {
        await writeFile(join(store.dir, 'oci-layout'), text);
        await failure('UNSUPPORTED', openStore(store.dir));
      });
    },
  );
});

describe('blobs', () => {
  test('are returned unchanged and stored at their layout path', async () => {
    await withStore(async (store) => {
      const data = Buffer.alloc(500_000, 'content');
      const { digest, size } = await store.write(chunks(data, 7000));
      expect({ digest, size }).toEqual({ digest: digestOf(data), size: data.length });
      expect(store.blobPath(digest)).toBe(join(store.dir, 'blobs/sha256', digestHex(digest)));
      expect((await readFile(store.blobPath(digest))).equals(data)).toBe(true);
      expect((await collect(store.read({ digest }))).equals(data)).toBe(true);
      expect(await store.size(digest)).toBe(size);
      expect([await store.has(digest), await store.has(ABSENT), await store.size(ABSENT)]).toEqual([
        true,
        false,
        undefined,
      ]);
      expect(await filesIn(store)).toEqual([
        `blobs/sha256/${digestHex(digest)}`,
        'index.json',
        'oci-layout',
      ]);
    });
  });

  test('reports a missing blob', async () => {
    await withStore(async (store) => {
      const error = await failure('NOT_FOUND', collect(store.read({ digest: ABSENT })));
      expect(error.message).toBe(`blob ${ABSENT} is not in the store`);
      await failure('NOT_FOUND', store.readBytes({ digest: ABSENT }));
    });
  });

  test('stores an empty blob', async () => {
    await withStore(async (store) => {
      const { digest } = await store.writeBytes(Buffer.alloc(0));
      expect(await store.readBytes({ digest, size: 0 })).toEqual(Buffer.alloc(0));
    });
  });

  test('detects a modified blob and names it with a fix', async () => {
    await withStore(async (store) => {
      const { digest } = await store.write(chunks(Buffer.alloc(300_000, 'good')));
      await writeFile(store.blobPath(digest), Buffer.alloc(300_000, 'evil'));
      for (const read of [
        async () => collect(store.read({ digest })),
        async () => store.readBytes({ digest, size: 300_000 }),
      ]) {
        const error = await failure('DIGEST_MISMATCH', read());
        expect(error.message).toBe(
          `blob ${digest} does not match its digest (${store.blobPath(digest)})`,
        );
        expect(error.fix).toContain('lkt cache verify --remove');
      }
    });
  });

  test('rejects another length before reading', async () => {
    await withStore(async (store) => {
      const { digest } = await store.writeBytes(Buffer.from('good'));
      await writeFile(store.blobPath(digest), 'longer');
      const error = await failure('DIGEST_MISMATCH', collect(store.read({ digest, size: 4 })));
      expect(error.message).toContain('has 6 bytes, not 4');
    });
  });

  test('readBytes enforces its limit with and without a known size', async () => {
    await withStore(async (store) => {
      const { digest, size } = await store.writeBytes(Buffer.alloc(100));
      await failure('IMAGE_INVALID', store.readBytes({ digest, size }, 99));
      await failure('IMAGE_INVALID', store.readBytes({ digest }, 99));
      expect(await store.readBytes({ digest }, 100)).toHaveLength(100);
    });
  });

  test.each<[string, { digest?: Digest; size?: number }, string]>([
    [
      'other content',
      { digest: ABSENT },
      `the content for ${ABSENT} is not as expected: its digest is ${digestOf('abc')}`,
    ],
    ['longer content', { size: 2 }, 'it is longer than 2 bytes'],
    ['shorter content', { digest: digestOf('abc'), size: 4 }, 'it has 3 bytes, not 4'],
  ])('write rejects %s', async (_name, expected, message) => {
    await withStore(async (store) => {
      const error = await failure('DIGEST_MISMATCH', store.write(chunks('abc'), expected));
      expect(error.message).toContain(message);
      expect(await filesIn(store)).toEqual(['index.json', 'oci-layout']);
    });
  });

  test('does not read the source of an existing blob, unless its length is wrong', async () => {
    await withStore(async (store) => {
      const expected = await store.writeBytes(Buffer.from('abc'));
      let reads = 0;
      async function* source(): AsyncGenerator<Uint8Array> {
        reads += 1;
        yield Buffer.from('abc');
      }
      await utimes(store.blobPath(expected.digest), 1, 1);
      await store.write(source(), expected);
      expect(reads).toBe(0);
      expect((await stat(store.blobPath(expected.digest))).mtimeMs).toBeGreaterThan(1000);
      await writeFile(store.blobPath(expected.digest), 'ab');
      await store.write(source(), expected);
      expect(reads).toBe(1);
      expect((await store.readBytes(expected)).toString()).toBe('abc');
    });
  });

  test('a failing source and an abort leave no files', async () => {
    await withStore(async (store) => {
      const problem = Object.assign(new Error('connection reset'), {
        code: 'ECONNRESET',
        syscall: 'read',
      });
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('abc');
        throw problem;
      }
      await expect(store.write(failing())).rejects.toBe(problem);
      const controller = new AbortController();
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('abc');
        controller.abort(problem);
        yield Buffer.from('def');
      }
      await expect(store.write(slow(), {}, controller.signal)).rejects.toBe(problem);
      await expect(store.write(chunks('x'), {}, controller.signal)).rejects.toBe(problem);
      expect(await filesIn(store)).toEqual(['index.json', 'oci-layout']);
    });
  });

  test('concurrent writers of one blob succeed', async () => {
    await withStore(async (store) => {
      const data = Buffer.alloc(200_000, 'same');
      const written = await Promise.all(
        Array.from({ length: 10 }, async () => store.write(chunks(data, 1000))),
      );
      expect(new Set(written.map((item) => item.digest))).toEqual(new Set([digestOf(data)]));
      expect(await filesIn(store)).toHaveLength(3);
    });
  });
});

describe('tags', () => {
  test('are added, found, moved and removed', async () => {
    await withStore(async (store) => {
      const one = await putJson(store, MediaType.ociManifest, 1);
      const two = await putJson(store, MediaType.ociIndex, 2);
      await store.tag('docker.io/lkt/b:1', one);
      await store.tag('docker.io/lkt/a:1', { ...two, annotations: { 'org.example': 'x' } });
      expect(await store.tags()).toEqual([
        {
          reference: 'docker.io/lkt/a:1',
          descriptor: { ...two, annotations: { 'org.example': 'x' } },
        },
        { reference: 'docker.io/lkt/b:1', descriptor: one },
      ]);
      await store.tag('docker.io/lkt/b:1', two);
      expect(await store.resolve('docker.io/lkt/b:1')).toEqual(two);
      expect(await store.resolve('docker.io/lkt/c:1')).toBeUndefined();
      expect(await store.untag('docker.io/lkt/b:1')).toBe(true);
      expect(await store.untag('docker.io/lkt/b:1')).toBe(false);
      expect(await store.tags()).toHaveLength(1);
      expect(await store.has(one.digest)).toBe(true);
    });
  });

  test('require the image in the store', async () => {
    await withStore(async (store) => {
      await failure(
        'NOT_FOUND',
        store.tag('a', { mediaType: MediaType.ociIndex, digest: ABSENT, size: 1 }),
      );
      const blob = await store.writeBytes(Buffer.from('abc'));
      await failure(
        'NOT_FOUND',
        store.tag('a', { mediaType: MediaType.ociIndex, ...blob, size: 4 }),
      );
      expect(await store.tags()).toEqual([]);
    });
  });

  test('entries of other programs in the index are preserved', async () => {
    await withStore(async (store) => {
      const blob = await putJson(store, MediaType.ociManifest, 1);
      const foreign = {
        ...blob,
        annotations: {
          'io.containerd.image.name': 'x',
          'org.opencontainers.image.ref.name': 'foreign',
        },
        platform: { os: 'linux', architecture: 'arm64', 'os.version': '6' },
        urls: ['https://example.org'],
      };
      const document = { schemaVersion: 2, manifests: [blob, foreign], annotations: { a: 'b' } };
      await writeFile(join(store.dir, 'index.json'), JSON.stringify(document));
      await store.tag('ours', blob);
      await store.untag('ours');
      expect(JSON.parse(await readFile(join(store.dir, 'index.json'), 'utf8'))).toEqual({
        ...document,
        mediaType: MediaType.ociIndex,
      });
      expect((await store.resolve('foreign'))?.platform).toEqual({
        os: 'linux',
        architecture: 'arm64',
      });
    });
  });

  test.each([
    '',
    '{',
    '[]',
    '{"schemaVersion":1,"manifests":[]}',
    '{"schemaVersion":2,"manifests":{}}',
    '{"schemaVersion":2,"manifests":[{"mediaType":"x","size":-1,"digest":"sha256:00"}]}',
  ])('rejects the invalid index %j', async (text) => {
    await withStore(async (store) => {
      await writeFile(join(store.dir, 'index.json'), text);
      const error = await failure('IMAGE_INVALID', store.tags());
      expect(error.message).toContain('index.json is not a valid index of an OCI layout');
    });
  });
});

describe('killed processes', () => {
  test('directories of live processes stay until the process ends', async () => {
    await withStore(async (store) => {
      const path = await (async () => {
        await using temp = await store.tempDir();
        await writeFile(join(temp.path, 'file'), '');
        await openStore(store.dir);
        expect(await readdir(temp.path)).toEqual(['file']);
        return temp.path;
      })();
      await expect(stat(path)).rejects.toThrow(/ENOENT/);
    });
  });

  test('files of another boot or container are swept after a day, foreign files never', async () => {
    await withStore(async (store) => {
      const tmp = join(store.dir, 'tmp');
      const [fresh, old, other] = [
        '1.1.aaaaaaaa.1.000000000000',
        '1.1.aaaaaaaa.1.000000000001',
        'notes',
      ];
      for (const name of [fresh, old, other]) await mkdir(join(tmp, name), { recursive: true });
      const yesterday = Date.now() / 1000 - 25 * 3600;
      for (const name of [old, other]) await utimes(join(tmp, name), yesterday, yesterday);
      await openStore(store.dir);
      expect((await readdir(tmp)).toSorted()).toEqual([fresh, other]);
    });
  });
});

describe('verify and prune', () => {
  test('verify finds damaged blobs and removes them on request', async () => {
    await withStore(async (store) => {
      const good = await store.writeBytes(Buffer.from('good'));
      const bad = await store.writeBytes(Buffer.from('bad'));
      const path = store.blobPath(bad.digest);
      await writeFile(path, 'dab');
      await writeFile(join(store.dir, 'blobs/sha256/README'), '');
      const seen: string[] = [];
      const cached = { checked: 0, bad: [] };
      const found = { checked: 2, bad: [{ digest: bad.digest, path }], cached };
      expect(await store.verify({}, (done, total) => seen.push(`${done}/${total}`))).toEqual(found);
      expect(seen).toEqual(['1/2', '2/2']);
      expect(await store.has(bad.digest)).toBe(true);
      expect(await store.verify({ remove: true })).toEqual(found);
      expect([await store.has(bad.digest), await store.has(good.digest)]).toEqual([false, true]);
      expect(await store.verify()).toEqual({ checked: 1, bad: [], cached });
    });
  });

  const area = fileArea('notes', 'notes', adoptable);

  test('verify finds sealed files of another key and removes them on request', async () => {
    await withStore(async (store) => {
      const [own, other] = [join(store.dir, 'notes/own'), join(store.dir, 'notes/other')];
      await store.putSealed(own, 'text');
      await (await openStore(store.dir, { key: () => 'another' })).putSealed(other, 'text');
      const seen: string[] = [];
      const options = { areas: [area], remove: true };
      const { cached } = await store.verify({ areas: [area] }, (done, total) =>
        seen.push(`${done}/${total}`),
      );
      expect(cached).toEqual({ checked: 2, bad: [other] });
      expect(seen).toEqual(['1/2', '2/2']);
      expect((await store.verify(options)).cached.bad).toEqual([other]);
      expect(await readdir(join(store.dir, 'notes'))).toEqual(['own']);
      expect((await store.verify(options)).cached).toEqual({ checked: 1, bad: [] });
    });
  });

  test('verify leaves out what other processes remove while it checks', async () => {
    await withStore(async (store) => {
      const names = ['kept', 'pruned', 'replaced', 'emptied'];
      const at = (name: string): string => join(store.dir, 'trees', name);
      for (const name of names) await mkdir(at(name), { recursive: true });
      const isIntact = async (path: string): Promise<boolean> => {
        if (path !== at('kept')) await rename(path, join(store.dir, 'tmp', basename(path)));
        if (path === at('replaced')) await mkdir(path);
        if (path === at('emptied')) throw new Error('a file is missing');
        return false;
      };
      await mkdir(join(store.dir, 'tmp'), { recursive: true });
      const trees = { ...directoryArea('trees', 'trees', true), isIntact };
      const { cached } = await store.verify({ areas: [trees], remove: true });
      expect(cached).toEqual({ checked: 1, bad: [at('kept')] });
      expect(await readdir(join(store.dir, 'trees'))).toEqual(['replaced']);
      await mkdir(at('kept'));
      const options = { areas: [{ ...trees, isIntact: failsToRead }] };
      await expect(store.verify(options)).rejects.toThrow('a disk failed');
    });
  });

  test('adopt seals what another key sealed, and what has no seal', async () => {
    await withStore(async (store) => {
      const paths = ['own', 'other', 'old'].map((name) => join(store.dir, 'notes', name));
      const [own = '', other = '', old = ''] = paths;
      await store.putSealed(own, 'own\n');
      await (await openStore(store.dir, { key: () => 'another' })).putSealed(other, 'other\n');
      await store.putFile(old, 'old\n');
      expect(await store.adopt([fileArea('notes', 'notes')])).toEqual([]);
      expect((await store.adopt([area])).toSorted()).toEqual([old, other].toSorted());
      expect(paths.map((path) => store.sealed.read(path))).toEqual(['own\n', 'other\n', 'old\n']);
      expect(await store.adopt([area])).toEqual([]);
    });
  });

  test('prune keeps what tags reach, even of incomplete images, and removes the rest', async () => {
    await withStore(async (store) => {
      const layer = {
        mediaType: MediaType.layerTar,
        ...(await store.writeBytes(Buffer.from('layer'))),
      };
      const config = {
        mediaType: MediaType.ociConfig,
        ...(await store.writeBytes(Buffer.from('config'))),
      };
      const manifest = await putJson(store, MediaType.ociManifest, {
        schemaVersion: 2,
        config,
        layers: [layer],
      });
      const absent: Descriptor = { mediaType: MediaType.ociManifest, digest: ABSENT, size: 5 };
      const index = await putJson(store, MediaType.ociIndex, {
        schemaVersion: 2,
        manifests: [manifest, absent],
      });
      await store.tag('a', index);
      const deb = await store.writeBytes(Buffer.from('a .deb'));
      expect((await store.prune([])).removed).toMatchObject([{ blobs: [deb.digest] }]);
      expect(await store.has(deb.digest)).toBe(false);
      for (const blob of [layer, config, manifest, index])
        expect(await store.has(blob.digest)).toBe(true);
      await store.untag('a');
      expect((await store.prune([])).removed).toHaveLength(4);
    });
  });

  test('prune removes nothing if a manifest is unreadable', async () => {
    await withStore(async (store) => {
      const manifest = await putJson(store, MediaType.ociManifest, { schemaVersion: 2 });
      await store.tag('a', manifest);
      const other = await store.writeBytes(Buffer.from('other'));
      const error = await failure('IMAGE_INVALID', store.prune([]));
      expect(error.message).toContain(manifest.digest);
      expect(await store.has(other.digest)).toBe(true);
    });
  });
});

test('a copy of a store by cp -r is a store', async () => {
  await withStore(async (store) => {
    const blob = await putJson(store, MediaType.ociManifest, 1);
    await store.tag('a', blob);
    await cp(store.dir, `${store.dir}-copy`, { recursive: true });
    run('rm', ['-rf', join(`${store.dir}-copy`, 'locks'), join(`${store.dir}-copy`, 'tmp')]);
    const copy = await openStore(`${store.dir}-copy`);
    expect(await copy.resolve('a')).toEqual(blob);
    await copy.tag('b', blob);
    expect(await copy.tags()).toHaveLength(2);
  });
});
