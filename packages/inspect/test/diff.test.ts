import { provenanceOf, writeProvenance } from '@lkt/attest';
import { type Digest, digestOf, LktError, type LktErrorCode } from '@lkt/core';
import type { FileMap } from '@lkt/formats';
import { readTar, singleChunk, type Store, toRaw } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { diffImages, type ImageDiff } from '../src/diff.ts';
import { readFacts } from '../src/facts.ts';
import type { ImageView } from '../src/view.ts';
import {
  type Files,
  PLATFORM,
  sbom,
  sha256,
  storeImage,
  tarOf,
  tempStore,
  view,
} from './support.ts';

const SAME: ImageDiff = {
  isSame: true,
  packages: [],
  config: [],
  cmdline: { removed: [], added: [] },
  privileges: [],
  inputs: [],
  outputs: [],
  listed: [],
  files: [],
};

/** Returns a reader of fixture files, as views have it. */
function reader(files: Files): () => Promise<FileMap> {
  return async () => {
    const archive = singleChunk(await tarOf(files));
    return readFacts(readTar(archive), undefined);
  };
}

async function diff(
  before: Partial<ImageView>,
  after: Partial<ImageView>,
  store?: Store,
): Promise<ImageDiff> {
  const files = reader({});
  return diffImages(view({ files, ...before }), view({ files, ...after }), store, PLATFORM);
}

/** Returns a runtime spec with these capabilities. */
function spec(bounding: readonly string[]): string {
  return JSON.stringify({ process: { args: ['/a', '-b'], capabilities: { bounding } } });
}

async function diffFiles(before: Files, after: Files): Promise<ImageDiff['files']> {
  return (await diff({ files: reader(before) }, { files: reader(after) })).files;
}

/** Returns a reader of files that fails. */
function failing(code: LktErrorCode, message: string): () => Promise<FileMap> {
  return async () => {
    throw new LktError(code, message);
  };
}

/** Compares images that contain other images, and their files. */
async function packages(
  before: ImageView['images'],
  after: ImageView['images'],
  store?: Store,
  files: readonly [Files, Files] = [{}, {}],
): Promise<ImageDiff> {
  const [old, now] = files;
  return diff({ images: before, files: reader(old) }, { images: after, files: reader(now) }, store);
}

/** Returns a build of that name, with the text in its tar. */
function buildOf(name: string, text: string): Partial<ImageView> {
  return {
    name,
    outputs: [
      { name: `${name}-kernel`, state: 'there', digest: digestOf('same') },
      { name: `${name}.tar`, state: 'there', digest: digestOf(text) },
      { name: `${name}-provenance.json`, state: 'there', digest: digestOf(name) },
      { name: `${name}.iso`, state: 'missing' },
    ],
  };
}

/** Returns a config whose images and command line have the tag. */
function configOf(tag: string, cap: string): Partial<ImageView> {
  return {
    kind: 'config',
    inputs: [{ name: 'app.yml', digest: digestOf(tag) }],
    config: {
      kernel: { image: `kernel:${tag}`, cmdline: tag },
      init: [`init:${tag}`],
      services: [{ name: 'sshd', image: `sshd:${tag}`, capabilities: [cap] }],
    },
  };
}

describe('diffImages', () => {
  it('finds no differences between equal images', async () => {
    const parts: Partial<ImageView> = {
      cmdline: 'quiet',
      parameters: { formats: ['tar'] },
      images: [{ name: 'alpine:3', digest: digestOf('alpine') }],
      inputs: [{ name: 'app.yml', digest: digestOf('yml') }],
      outputs: [{ name: 'app.tar', state: 'as built', digest: digestOf('tar') }],
      sbom: sbom([{ name: 'busybox', versionInfo: '1' }]),
      files: reader({ 'etc/motd': 'hello' }),
    };
    expect(await diff(parts, { ...parts })).toEqual(SAME);
  });

  it('pairs outputs of builds with different names', async () => {
    const { outputs, isSame } = await diff(buildOf('old', '1'), buildOf('new', '2'));
    expect(outputs).toEqual([{ name: 'NAME.tar', before: digestOf('1'), after: digestOf('2') }]);
    expect(isSame).toBe(false);
  });

  it('compares parameters, command lines, inputs and SBOMs', async () => {
    const found = await diff(
      {
        parameters: { variables: { A: '1' }, platform: 'linux/amd64' },
        cmdline: 'quiet root=a quiet',
        inputs: [{ name: 'pkg:docker/alpine@3.21?x', digest: digestOf('1') }],
        sbom: sbom([
          { name: 'musl', versionInfo: '1' },
          { name: 'zlib', versionInfo: '1' },
        ]),
      },
      {
        parameters: { variables: { A: '2' }, platform: 'linux/amd64' },
        cmdline: 'root=b  quiet',
        inputs: [
          { name: 'pkg:docker/alpine@3.22', digest: digestOf('2') },
          { name: 'motd', digest: digestOf('3') },
        ],
        sbom: sbom([{ name: 'musl', versionInfo: '2' }]),
      },
    );
    expect(found).toEqual({
      ...SAME,
      isSame: false,
      config: [{ path: 'variables.A', before: '1', after: '2' }],
      cmdline: { removed: ['root=a', 'quiet'], added: ['root=b'] },
      inputs: [
        { name: 'motd', after: digestOf('3') },
        { name: 'pkg:docker/alpine', before: digestOf('1'), after: digestOf('2') },
      ],
      listed: [
        { name: 'musl', before: '1', after: '2' },
        { name: 'zlib', before: '1' },
      ],
    });
  });

  it('compares the values of configs, without images and command line', async () => {
    const found = await diff(configOf('1', 'all'), configOf('2', 'none'));
    expect(found.config).toEqual([
      { path: 'services[sshd].capabilities[all]', before: 'all' },
      { path: 'services[sshd].capabilities[none]', after: 'none' },
    ]);
    expect(found.inputs).toEqual([]);
  });

  it('compares neither parameters nor outputs of different kinds, nor /boot', async () => {
    const build = {
      parameters: { formats: ['tar'] },
      outputs: [{ name: 'app.tar', state: 'there' as const, digest: digestOf('1') }],
      files: reader({ 'boot/': '', 'boot/kernel': 'k', bootstrap: '1' }),
    };
    const found = await diff(build, { kind: 'config', files: reader({}) });
    expect(found.files.map(({ path }) => path)).toEqual(['/bootstrap']);
    expect({ ...found, files: [] }).toEqual({ ...SAME, isSame: false });
  });

  it('compares what containers may do', async () => {
    const found = await diff(
      {
        files: reader({
          'containers/services/a/config.json': spec(['CAP_KILL']),
          'containers/services/gone/config.json': spec([]),
        }),
      },
      {
        files: reader({
          'containers/services/a/config.json': spec(['CAP_KILL', 'CAP_CHOWN']),
          'containers/services/new/config.json': spec(['CAP_SYS_TIME']),
        }),
      },
    );
    expect(found.privileges).toEqual([
      { path: 'services/a.capabilities[CHOWN]', after: 'CHOWN' },
      { path: 'services/gone', before: '/a -b' },
      { path: 'services/new', after: '/a -b' },
      { path: 'services/new.user', after: '0:0' },
      { path: 'services/new.capabilities', after: ['SYS_TIME'] },
      { path: 'services/new.isRootReadonly', after: false },
      { path: 'services/new.noNewPrivileges', after: false },
    ]);
  });

  it('reports which image cannot be read', async () => {
    const unread = await diff({ name: 'old', files: undefined }, {});
    expect(unread).toEqual({
      ...SAME,
      unread: 'lkt cannot read the format of old',
    });
    const missing = failing('NOT_FOUND', 'the store has no alpine');
    expect((await diff({}, { files: missing })).unread).toBe('the store has no alpine');
    const broken = failing('ARCHIVE_INVALID', 'it is truncated');
    await expect(diff({}, { files: broken })).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });
});

describe('files that differ', () => {
  it.each<[string, Files[string], Files[string], string[]]>([
    ['content', 'one', 'two', ['content']],
    ['size', 'one', 'three', ['content (3 → 5 bytes)']],
    ['target', { link: 'a' }, { link: 'b' }, ['target a → b']],
    ['mode', { type: 'fifo', mode: 0o644 }, { type: 'fifo', mode: 0o4755 }, ['mode 0644 → 4755']],
    ['owner', { type: 'fifo', uid: 1 }, { type: 'fifo', gid: 2 }, ['owner 1:0 → 0:2']],
    [
      'time',
      { type: 'fifo', mtime: 0 },
      { type: 'fifo', mtime: 1 },
      ['time 1970-01-01T00:00:00Z → 1970-01-01T00:00:01Z'],
    ],
    [
      'device',
      { type: 'char', devMajor: 1, devMinor: 3 },
      { type: 'char', devMajor: 1, devMinor: 5 },
      ['device 1:3 → 1:5'],
    ],
    ['type', { type: 'fifo' }, { type: 'directory' }, ['type fifo → directory']],
    [
      'attributes',
      { type: 'fifo' },
      { type: 'fifo', xattrs: new Map([['user.a', Buffer.from('b')]]) },
      ['extended attributes'],
    ],
  ])('reports a changed %s', async (_name, before, after, what) => {
    const changes = await diffFiles({ a: before }, { a: after });
    expect(changes).toMatchObject([{ path: '/a', change: 'changed', what }]);
  });

  it('describes added and removed files, in byte order', async () => {
    const changes = await diffFiles({ b: 'old', same: 's' }, { same: 's', a: 'new!', 'c/': '' });
    expect(changes).toEqual([
      {
        path: '/a',
        change: 'added',
        what: ['file 0644, 4 bytes'],
        after: sha256('new!'),
        growth: 4,
      },
      {
        path: '/b',
        change: 'removed',
        what: ['file 0644, 3 bytes'],
        before: sha256('old'),
        growth: -3,
      },
      { path: '/c', change: 'added', what: ['directory 0755'] },
    ]);
  });

  it('reports derived files only if nothing else differs', async () => {
    const manifest = 'usr/share/lkt/manifest';
    const derived = await diffFiles({ [manifest]: '1' }, { [manifest]: '2' });
    expect(derived.map(({ path }) => path)).toEqual([`/${manifest}`]);
    const both = await diffFiles({ [manifest]: '1', a: '1' }, { [manifest]: '2', a: '2' });
    expect(both.map(({ path }) => path)).toEqual(['/a']);
  });

  it('names the source in the archive', async () => {
    const pax = new Map([
      ['LINUXKIT.source', toRaw('docker.io/example/hello:1')],
      ['LINUXKIT.location', 'init[0]'],
    ]);
    const [change] = await diffFiles({}, { a: { type: 'fifo', pax } });
    expect(change).toMatchObject({ source: 'docker.io/example/hello:1', location: 'init[0]' });
  });
});

describe('images that differ', () => {
  const HASHES = ['1'.repeat(40), '2'.repeat(40)] as const;

  it.each([
    ['alpine:3.21', 'alpine:3.22', 'tag 3.21 → 3.22'],
    [`app:${HASHES[0]}`, `app:${HASHES[1]}-dirty`, `source hash ${HASHES[0]} → ${HASHES[1]}-dirty`],
    ['localhost:5000/app', 'localhost:5000/app', 'same tag, different image'],
  ])('explains %s → %s', async (before, after, because) => {
    const found = await packages(
      [{ name: before, digest: digestOf('1') }],
      [{ name: after, digest: digestOf('2') }],
    );
    expect(found.packages.map((change) => change.because)).toEqual([[because]]);
  });

  it('lists added and removed images', async () => {
    const [one, two] = [
      { name: 'one:1', digest: digestOf('1') },
      { name: 'two:1', digest: digestOf('2') },
    ];
    expect((await packages([one], [two])).packages).toEqual([
      { name: 'one', before: one, because: [] },
      { name: 'two', after: two, because: [] },
    ]);
  });

  it('compares the images in the store, and names the source of files', async () => {
    const store = await tempStore();
    const stored = async (text: string, input: string): Promise<Digest> => {
      const subject = await storeImage(store, { 'etc/': '', 'etc/motd': text });
      const statement = provenanceOf({
        subjects: [{ name: 'app', digest: subject.digest }],
        parameters: { package: 'example/app', sourceHash: text, platforms: [], target: input },
        dependencies: [{ name: 'Dockerfile', digest: { sha256: sha256(input) } }],
      });
      await store.addReferrer(await writeProvenance(store, subject, statement));
      return subject.digest;
    };
    const before = { name: 'app:1', digest: await stored('old', 'a') };
    const after = { name: 'app:2', digest: await stored('new', 'b') };
    const path = 'containers/services/app/rootfs/etc/motd';
    const found = await packages([before], [after], store, [{ [path]: 'old' }, { [path]: 'new' }]);
    expect(found.packages).toMatchObject([
      {
        name: 'app',
        because: ['tag 1 → 2', 'Dockerfile changed', 'target changed'],
        files: [{ path: '/etc/motd', what: ['content'] }],
      },
    ]);
    expect(found.files).toMatchObject([{ path: `/${path}`, source: 'app' }]);
    const source = new Map([['LINUXKIT.source', 'files']]);
    const content = { type: 'file' as const, pax: source };
    const own = await packages([before], [after], store, [
      { [path]: { ...content, data: 'old' } },
      { [path]: { ...content, data: 'new' } },
    ]);
    expect(own.files).toMatchObject([{ path: `/${path}`, source: 'files' }]);
  });

  it('does without images that the store does not have', async () => {
    const [before, after] = ['1', '2'].map((text) => ({ name: 'app:1', digest: digestOf(text) }));
    if (before === undefined || after === undefined) throw new Error('there are two');
    const found = await packages([before], [after], await tempStore());
    expect(found.packages).toEqual([
      { name: 'app', before, after, because: ['same tag, different image'] },
    ]);
  });
});
