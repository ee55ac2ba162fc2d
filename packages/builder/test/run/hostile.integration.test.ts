import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decompressLayer,
  type EntryWithContent,
  loadImage,
  openStore,
  readTar,
  writeImage,
  writeLayer,
  writeTar,
} from '@lkt/oci';
import { afterAll, describe, expect, test } from 'vitest';
import {
  build,
  type Built,
  contextOf,
  directory,
  file,
  leftovers,
  link,
  listing,
  scratch,
} from '../fixture.ts';

const own = scratch();
const store = join(own.path, 'store');
afterAll(() => own[Symbol.dispose]());

const platform = { os: 'linux', architecture: 'amd64' };
const bytes = (text: string): Buffer => Buffer.from(text);
const APPLETS = ['sh', 'cat', 'find', 'head', 'ls', 'stat'];

/** Returns extended attributes that instruct overlayfs, in both of its forms. */
function orders(value: string): ReadonlyMap<string, Uint8Array> {
  const names = ['user', 'trusted'].map((space) => `${space}.overlay.`);
  return new Map(
    names.flatMap((name) => [
      [`${name}opaque`, bytes('y')],
      [`${name}redirect`, bytes(value)],
      [`${name}metacopy`, bytes('')],
      [`${name}whiteout`, bytes('')],
    ]),
  );
}

/** Builds on a base image whose second layer has these entries. The first one has a shell. */
async function buildOn(entries: readonly EntryWithContent[], text: string): Promise<Built> {
  const at = await openStore(store);
  const shell = [
    directory('bin'),
    file('bin/busybox', readFileSync('/usr/bin/busybox'), 0o755),
    ...APPLETS.map((name) => link(`bin/${name}`, 'busybox')),
    directory('data'),
    file('data/below', 'below\n'),
    directory('secret', 0o700),
    file('secret/file', 'secret\n'),
  ];
  const layers = [await writeLayer(at, shell), await writeLayer(at, entries)];
  const { digest } = await writeImage(at, { config: {}, layers, platform });
  return build(store, `FROM evil\n${text}`, { bases: new Map([['evil', digest]]) });
}

describe('a base image', () => {
  test('cannot set attributes that instruct the overlay file system', async () => {
    const { log } = await buildOn(
      [
        { ...directory('data'), xattrs: orders('/secret') },
        { ...file('data/above', 'above\n'), xattrs: orders('/secret/file') },
      ],
      'RUN cat /data/above /data/below && ls /data\n',
    );
    expect(log).toBe('above\nbelow\nabove\nbelow\n');
  });

  test('cannot have devices that can be opened, or one that hides a file', async () => {
    const device = { ...file('zero', '', 0o666), type: 'char', devMajor: 1, devMinor: 5 } as const;
    const disk = { ...device, path: 'disk', type: 'block', devMajor: 8, devMinor: 0 } as const;
    const text = 'RUN ! head -c 1 /zero 2>&1 && ! head -c 1 /disk 2>&1 && stat -c %F /zero /disk\n';
    const { log } = await buildOn([disk, device], text);
    expect(log.match(/Permission denied/g)).toHaveLength(2);
    const hiding = { ...device, path: 'data/below', devMinor: 0, devMajor: 0 };
    await expect(buildOn([hiding], 'RUN ls\n')).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  test.each(['proc', 'sys', 'dev'])('cannot redirect /%s', async (name) => {
    const failure = buildOn([link(name, '/secret')], 'RUN ls /secret\n');
    await expect(failure).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining(`/${name} is not a directory`) as string,
    });
  });

  test.each(['.wh.', 'data/.wh..', 'data/.wh...'])('cannot have the whiteout %s', async (path) => {
    const failure = buildOn([file(path, '')], 'RUN ls\n');
    await expect(failure).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  test('may repeat an entry: the last one counts', async () => {
    const { log } = await buildOn(
      [
        file('twice', 'first\n'),
        file('twice', 'second\n'),
        file('data/.wh.below', ''),
        file('data/below', 'new\n'),
        directory('was'),
        file('was/in', ''),
        link('was', 'data'),
      ],
      'RUN cat /twice /data/below && ls /was\n',
    );
    expect(log).toBe('second\nnew\nbelow\n');
  });
});

test('ignores instructions to the overlay file system in an archive of ADD', async () => {
  using source = scratch();
  const xattrs = new Map([
    ['trusted.overlay.opaque', bytes('y')],
    ['user.note', bytes('kept')],
    ['user.overlay.opaque', bytes('y')],
  ]);
  const parts: Uint8Array[] = [];
  const entries = [{ ...directory('etc'), xattrs }, file('etc/new', 'new\n')];
  for await (const part of writeTar(entries)) parts.push(part);
  writeFileSync(join(source.path, 'a.tar'), Buffer.concat(parts));
  const context = contextOf(source.path);
  const seen = await build(store, 'FROM base\nADD a.tar /\nRUN ls /etc\n', { context });
  expect(seen.log).toBe('group\nnew\npasswd\n');
  const { descriptor } = await build(store, 'FROM base\nADD a.tar /\n', { context });
  const at = await openStore(store);
  const layer = (await loadImage(at, descriptor.digest, platform)).manifest.layers.at(-1);
  if (layer === undefined) throw new Error('no layer');
  const found: string[] = [];
  for await (const entry of readTar(decompressLayer(layer, at.read(layer))))
    found.push(entry.path, ...(entry.xattrs?.keys() ?? []));
  expect(found).toEqual(['etc', 'user.note', 'etc/new']);
});

describe('a command', () => {
  test('cannot leave a path that is too long to be read', async () => {
    const text = `FROM base
RUN n=$(printf "%0200d" 0); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do mkdir $n && cd -P $n; done; echo x > f
`;
    const error: unknown = await build(store, text).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'BUILD_FAILED',
      message: 'the path of a file is too long for this machine',
      fix: expect.stringContaining('less deep') as string,
    });
    expect(leftovers(store)).toEqual([]);
  });

  test('cannot change the files that a later COPY copies', async () => {
    using source = scratch();
    writeFileSync(join(source.path, 'f'), 'mine\n');
    const { log } = await build(
      store,
      `FROM base
RUN --mount=type=bind,target=/src,rw echo other > /src/f && echo more > /src/g && rm -rf /src/.[a-z]*
COPY . /copied/
RUN cat /copied/f && ls /copied
`,
      { context: contextOf(source.path) },
    );
    expect(log).toBe('mine\nf\n');
    expect(readdirSync(source.path)).toEqual(['f']);
    expect(readFileSync(join(source.path, 'f'), 'utf8')).toBe('mine\n');
  });

  test('cannot redirect a COPY, ADD or WORKDIR outside the image with links', async () => {
    using source = scratch();
    using outside = scratch();
    writeFileSync(join(source.path, 'f'), 'text\n');
    writeFileSync(join(outside.path, 'f'), 'safe\n');
    const parts: Uint8Array[] = [];
    for await (const part of writeTar([file('f', 'archive\n')])) parts.push(part);
    writeFileSync(join(source.path, 'a.tar'), Buffer.concat(parts));
    const up = '../'.repeat(20);
    const built = await build(
      store,
      `FROM base AS one
RUN ln -s ${outside.path} /abs && ln -s ${up}${outside.path} /rel && ln -s ${outside.path}/f /file
COPY f /abs/
COPY f /rel/
COPY f /file
ADD a.tar /abs/sub/../
WORKDIR /rel/made
FROM base
COPY --from=one /abs/ /rel/ /got/
`,
      { context: contextOf(source.path) },
    );
    expect(readdirSync(outside.path)).toEqual(['f']);
    expect(readFileSync(join(outside.path, 'f'), 'utf8')).toBe('safe\n');
    expect((await listing(store, built)).map((line) => line.split(' ').at(-1))).toEqual([
      'got',
      'got/f',
      'got/made',
    ]);
  });

  test.each([
    ['kill -9 -1', 'sleep 100 & kill -9 -1; wait; false'],
    ['killing the first process', 'kill -9 1; sleep 0.1; false'],
    ['a name that hides a file', 'mknod /bin/own c 0 0'],
    ['a new root', 'mkdir /n && mount -o bind / /n'],
    ['other devices', 'echo x > /proc/bus/pci/devices'],
  ])('cannot end lkt: %s', async (_name, command) => {
    const failure = build(store, `FROM base\nRUN ${command}\n`, { limits: { seconds: 30 } });
    await expect(failure).rejects.toMatchObject({ code: 'BUILD_FAILED' });
    await expect(failure).rejects.not.toThrow(/did not end within/);
    expect(leftovers(store)).toEqual([]);
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  });

  test('sees no host files below links of a context', async () => {
    using source = scratch();
    using outside = scratch();
    writeFileSync(join(outside.path, 'file'), 'of the machine');
    const out = join(source.path, 'out');
    symlinkSync(outside.path, out);
    const { log } = await build(
      store,
      'FROM base\nRUN --mount=type=bind,target=/src find /src/d/ && ! cat /src/d/out/file 2>&1\n',
      { context: [{ path: 'd/out', source: out }] },
    );
    expect(log).toMatch(/^\/src\/d\/\n\/src\/d\/out\ncat: .*No such file/);
  });
});
