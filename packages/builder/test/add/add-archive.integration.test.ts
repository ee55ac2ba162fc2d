import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EntryWithContent, writeTar } from '@lkt/oci';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ADD_ARCHIVES, ADD_OWNERS, writeArchives } from './add-archive.ts';
import { readArchive } from '../../src/add/archive.ts';
import { build, contextOf, file, link, listing, scratch } from '../fixture.ts';

const directory = scratch();
const store = join(directory.path, 'store');
const context = join(directory.path, 'context');
beforeAll(() => writeArchives(context));
afterAll(() => directory[Symbol.dispose]());

/** The first digits of BuildKit's diffIDs, from the first layer above the base. */
const ARCHIVES = [
  '5fbbc9e42a7a0465',
  '8f4d1c3017e889da',
  '37b823c9616d4624',
  'd44d6458daa06851',
  'd8a371876363e146',
  '445b8e8745056f48',
  'b65d07ece529e3df',
  '335dbe65e8a8b37c',
  '0431ad259000c9b0',
  'f6c0ecad6e2c01cd',
  'e7ef1a95358ef37e',
  '82f033e17b56a2c2',
];
const OWNERS = ['27c7c016ed4ca565', '485ccdf86f49c76c'];

test.each([
  { name: 'archives of every kind', text: ADD_ARCHIVES, expected: ARCHIVES },
  { name: 'owners and devices', text: ADD_OWNERS, expected: OWNERS },
])('makes the same layers as BuildKit: $name', async ({ text, expected }) => {
  const built = await build(store, text, { context: contextOf(context) });
  const starts = built.diffIds.slice(1).map((diffId) => diffId.slice(7, 23));
  expect(starts).toEqual(expected);
});

/** Returns the entries, as lines, of the layer of an ADD of one archive. */
async function added(
  add: string,
  write: (at: (name: string) => string) => void,
  before = '',
): Promise<string[]> {
  using place = scratch();
  const source = join(place.path, 'context');
  mkdirSync(source);
  write((name) => join(source, name));
  const text = `FROM base\n${before}\n${add}\n`;
  return listing(store, await build(store, text, { context: contextOf(source) }));
}

/** Returns an archive of handmade entries. */
async function archive(entries: readonly EntryWithContent[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(entries)));
}

test('copies an archive itself with --unpack=false', async () => {
  const built = await build(store, 'FROM base\nADD --unpack=false small.tgz /\n', {
    context: contextOf(context),
  });
  expect(await listing(store, built)).toEqual(['file 644 0:0 1492533000 small.tgz']);
});

test('applies --chown to the content of an archive, as BuildKit does since 0.23', async () => {
  const built = await build(store, 'FROM base\nADD --chown=7:8 owners.tar /x/\n', {
    context: contextOf(context),
  });
  const owners = (await listing(store, built)).map((line) => line.split(' ')[2]);
  expect(new Set(owners)).toEqual(new Set(['7:8']));
});

test('replaces earlier files of the same ADD by those of an archive, and vice versa', async () => {
  const packed = await archive([file('a', 'from the archive')]);
  const write = (at: (name: string) => string): void => {
    writeFileSync(at('x.tar'), packed);
    writeFileSync(at('a'), 'alone');
  };
  const sizes = async (sources: string): Promise<string> => {
    const lines = await said(`ADD ${sources} /\nRUN cat /a`, write);
    return lines;
  };
  expect(await sizes('x.tar a')).toBe('alone');
  expect(await sizes('a x.tar')).toBe('from the archive');
});

async function said(text: string, write: (at: (name: string) => string) => void): Promise<string> {
  using place = scratch();
  write((name) => join(place.path, name));
  return (await build(store, `FROM base\n${text}\n`, { context: contextOf(place.path) })).log;
}

test('follows no link out of the directory of an archive', async () => {
  const packed = await archive([
    link('out', '/../../etc'),
    file('out/passwd', 'x'),
    link('up', '../..'),
    file('up/top', 'y'),
  ]);
  const lines = await added('ADD x.tar /in/here', (at) => writeFileSync(at('x.tar'), packed));
  expect(lines.map((line) => line.split(' ').slice(4).join(' '))).toEqual([
    'in',
    'in/here',
    'in/here/etc',
    'in/here/etc/passwd',
    'in/here/out -> /../../etc',
    'in/here/top',
    'in/here/up -> ../..',
  ]);
});

test('copies a file of the image that an archive links to into the layer', async () => {
  const packed = await archive([{ ...file('again', ''), type: 'hardlink', link: 'old' }]);
  const lines = await added(
    'ADD x.tar /d',
    (at) => writeFileSync(at('x.tar'), packed),
    'RUN mkdir /d && echo old > /d/old',
  );
  expect(lines).toEqual(['directory 755 0:0 1492533000 d', 'file 644 0:0 1492533000 d/again']);
});

test.each([
  ['a whiteout', [file('d/.wh.x', '')], /"d\/.wh.x" .* means a deleted file/],
  [
    'a deleted file as a device',
    [{ ...file('x', ''), type: 'char', devMajor: 0, devMinor: 0 }],
    /means a deleted file/,
  ],
  ['a link to nothing', [{ ...file('x', ''), type: 'hardlink', link: 'y' }], /hard link to "y"/],
  [
    'a file as a directory',
    [file('x', ''), file('x/y', '')],
    /"x\/y" .* has a parent that is not a directory/,
  ],
  [
    'links in a circle',
    [link('a', 'b'), link('b', 'a'), file('a/x', '')],
    /has a parent that is not a directory/,
  ],
] as const)('rejects an archive with %s at the ADD', async (_, entries, message) => {
  const packed = await archive(entries as readonly EntryWithContent[]);
  const adding = added('ADD x.tar /in', (at) => writeFileSync(at('x.tar'), packed));
  await expect(adding).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
    message: expect.stringMatching(/^Dockerfile:3:1: x.tar cannot be unpacked: /) as string,
    fix: expect.stringContaining('--unpack=false') as string,
  });
  await expect(adding).rejects.toThrow(message);
});

test('rejects a name with ..', async () => {
  const adding = added('ADD x.tar /in', (at) => {
    writeFileSync(at('x'), '');
    const words = ['-cPf', at('x.tar'), '-C', at('.'), '--transform=s,^,../,', 'x'];
    execFileSync('tar', words);
  });
  await expect(adding).rejects.toMatchObject({
    message:
      'Dockerfile:3:1: x.tar cannot be unpacked: the tar archive has the invalid path "../x" (at its start)',
  });
});

const PROGRAMS = [['gzip', '-n'], ['bzip2'], ['xz'], ['zstd', '-q']];

async function compressed(
  [program = '', ...flags]: readonly string[],
  content: Buffer,
): Promise<Buffer> {
  return execFileSync(program, flags, {
    input: await archive([file('a', 'a'), file('b', content)]),
    maxBuffer: 1 << 24,
  });
}

test.each([['cat'], ...PROGRAMS])('rejects a truncated archive of %s', async (...words) => {
  const whole = await compressed(words, randomBytes(3 << 20));
  const cut = whole.subarray(0, whole.length - 400_000);
  const adding = added('ADD x /in', (at) => writeFileSync(at('x'), cut));
  await expect(adding).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
});

test.each(PROGRAMS)('rejects %s data that unpacks to more than the limit', async (...words) => {
  using place = scratch();
  const path = join(place.path, 'bomb');
  writeFileSync(path, await compressed(words, Buffer.alloc(8 << 20)));
  let size = 0;
  const reading = (async () => {
    for await (const chunk of readArchive(path, { maxBytes: 1 << 20 })) size += chunk.length;
  })();
  await expect(reading).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  expect(size).toBeLessThanOrEqual(1 << 20);
});

test('names a missing program', () => {
  const script = join(import.meta.dirname, 'read-archive.ts');
  const path = join(context, 'small.tar.xz');
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-c', 'mount --bind /dev/null /usr/bin/xz && exec "$@"', 'sh'].concat([
      process.execPath,
      '--no-warnings',
      script,
      path,
    ]),
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(stdout).toBe(
    `TOOL_MISSING xz is not installed, and ADD needs it for ${path}: sudo apt-get install xz-utils\n`,
  );
});
