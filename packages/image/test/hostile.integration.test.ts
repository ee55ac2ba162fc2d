import { execFile } from 'node:child_process';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, crc32, deflateRawSync } from 'node:zlib';
import { type Digest, digestOf } from '@lkt/core';
import { MediaType, type Store, writeImage } from '@lkt/oci';
import { describe, expect, it, vi } from 'vitest';
import { composeImage } from '../src/compose.ts';
import { chunks, image, PLATFORM, tarBytes, tempDir, tempStore } from './support.ts';

vi.setConfig({ testTimeout: 300_000 });

/** Returns an image with one layer of these bytes. */
async function imageOf(
  store: Store,
  layer: AsyncIterable<Uint8Array>,
  mediaType: string,
  diffId?: Digest,
): Promise<Digest> {
  const blob = await store.write(layer);
  const layers = [{ descriptor: { mediaType, ...blob }, diffId: diffId ?? blob.digest }];
  return (await writeImage(store, { config: { config: {} }, layers, platform: PLATFORM })).digest;
}

function padded(text: string): Buffer {
  return Buffer.from(text.padEnd(512, '\0'));
}

/** Returns a ustar header, also an invalid one. */
function header(name: string, { type = '0', size = 0, link = '' } = {}): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100, 'latin1');
  block.write(`0000644\0${'0000000\0'.repeat(2)}`, 100, 'latin1');
  block.write(
    `${size.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0        ${type}`,
    124,
    'latin1',
  );
  block.write(link, 157, 100, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const END = Buffer.alloc(1024);

async function compose(
  store: Store,
  text: string,
  outDir: string,
  format: 'kernel+initrd' | 'tar' = 'kernel+initrd',
): Promise<void> {
  await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format: [format],
    outDir,
    name: 'x',
    platform: PLATFORM,
    homeDir: outDir,
  });
}

async function configOf(store: Store, digest: Digest): Promise<string> {
  const kernel = await image(store, [{ kernel: 'k', 'kernel.tar': await tarBytes({}) }]);
  return `kernel: {image: lkt/k:1@${kernel}}\ninit: [lkt/evil:1@${digest}]\n`;
}

describe('layers', () => {
  it.for([
    ['a path out of the image', header('a/../../evil'), '"a/../../evil"'],
    [
      'a path through a link of its own',
      Buffer.concat([header('out', { type: '2', link: '/tmp' }), header('out/evil')]),
      '"out/evil"',
    ],
    [
      'a hard link out of the image',
      header('evil', { type: '1', link: '../../etc/passwd' }),
      '"../../etc/passwd"',
    ],
    ['a hard link to nothing', header('evil', { type: '1', link: 'etc/passwd' }), '"evil"'],
    ['a sparse file', Buffer.concat([header('before'), header('evil', { type: 'S' })]), '"evil"'],
    ['a name too long', longName(4097), 'aaaaaaaa'],
    ['a name that an initrd cannot hold', longName(4096), 'longer than 4095 bytes'],
    ['more content than there is', header('evil', { size: 2 ** 32 }), '"evil"'],
  ] as const)('with %s are refused, and nothing is written', async ([, data, entry]) => {
    const store = await tempStore();
    const digest = await imageOf(store, chunks(Buffer.concat([data, END])), MediaType.layerTar);
    const outDir = tempDir();
    const failure = compose(store, await configOf(store, digest), outDir);
    await expect(failure).rejects.toThrow(entry);
    await expect(failure).rejects.toThrow('lkt/evil:1');
    if (!entry.startsWith('longer'))
      await expect(failure).rejects.toThrow(/layer sha256:[0-9a-f]{64}/);
    expect(readdirSync(outDir)).toEqual([]);
    expect(readdirSync(join(store.dir, 'tmp'))).toEqual([]);
  });

  it('of another digest than the diff id are refused', async () => {
    const store = await tempStore();
    const [other, outDir] = [digestOf('another layer'), tempDir()];
    const data = Buffer.concat([header('etc/motd'), END]);
    const digest = await imageOf(store, chunks(data), MediaType.layerTar, other);
    await expect(compose(store, await configOf(store, digest), outDir)).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: `lkt/evil:1: layer ${digestOf(data)} unpacks to ${digestOf(data)}, and the config of its image says ${other}`,
    });
    expect(readdirSync(outDir)).toEqual([]);
  });

  it('accepts absolute paths, devices and repeated names', async () => {
    const store = await tempStore();
    const data = [
      header('/etc/abs'),
      header('dev/disk', { type: '4' }),
      header('twice', { size: 1 }),
    ];
    const layer = Buffer.concat([
      ...data,
      padded('1'),
      header('twice', { size: 1 }),
      padded('2'),
      END,
    ]);
    const digest = await imageOf(store, chunks(layer), MediaType.layerTar);
    const outDir = tempDir();
    await compose(store, await configOf(store, digest), outDir, 'tar');
    const tar = async (...args: readonly string[]): Promise<string> =>
      (await promisify(execFile)('tar', [...args, '-f', join(outDir, 'x.tar')])).stdout;
    const names = (await tar('-t')).split('\n');
    for (const name of ['etc/abs', 'dev/disk', 'twice'])
      expect(names.filter((line) => line === name)).toHaveLength(1);
    expect(await tar('-xO', 'twice')).toBe('2');
    expect(readdirSync(outDir)).toEqual(['x.tar']);
  });
});

/** Composes in its own process, and prints its memory and messages. */
const SCRIPT = `
import { readFileSync } from 'node:fs';
import { composeImage } from '${new URL('../src/compose.ts', import.meta.url).href}';
import { openStore } from '${import.meta.resolve('@lkt/oci')}';
const [storeDir, config, outDir] = process.argv.slice(1);
let message = '';
try {
  await composeImage({
    configs: [{ path: config, text: readFileSync(config, 'utf8') }],
    store: await openStore(storeDir),
    format: ['kernel+initrd'],
    outDir,
    name: 'x',
    platform: { os: 'linux', architecture: 'amd64' },
    homeDir: '/nonexistent',
  });
} catch (error) {
  message = error.message;
}
console.log(JSON.stringify({ message, rss: process.resourceUsage().maxRSS / 1024 }));
`;

async function composeInProcess(
  store: Store,
  text: string,
): Promise<{ message: string; rss: number }> {
  const dir = tempDir();
  const config = join(dir, 'system.yml');
  writeFileSync(config, text);
  const flags = ['--max-semi-space-size=1', '--heap-growing-percent=25', '--input-type=module'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...flags, '-e', SCRIPT, store.dir, config, join(dir, 'out')],
    {
      env: { PATH: process.env['PATH'], MALLOC_ARENA_MAX: '1' },
    },
  );
  return JSON.parse(stdout) as { message: string; rss: number };
}

describe('limits', () => {
  it('rejects a million entries and one', async () => {
    const store = await tempStore();
    const digest = await imageOf(store, manyEntries(), MediaType.layerTar);
    const { message, rss } = await composeInProcess(store, await configOf(store, digest));
    expect(message).toMatch(
      /lkt\/evil:1: layer sha256:.*has more than 1000000 entries \(at or after "d\/0999999"\)/,
    );
    expect(rss).toBeLessThan(600);
  });

  it.for([
    ['a thousand', () => bomb(260), MediaType.layerGzip],
    ['thirty thousand', () => zstdBomb(34_000), MediaType.layerZstd],
  ] as const)('a layer that unpacks to %s times its size', async ([, layer, mediaType]) => {
    const store = await tempStore();
    const digest = await imageOf(store, layer(), mediaType);
    const { message, rss } = await composeInProcess(store, await configOf(store, digest));
    expect(message).toContain('lkt/evil:1');
    expect(message).toMatch(/layer sha256:\S+: the \w+ data unpacks to more than 4294967296 bytes/);
    expect(rss).toBeLessThan(200);
  });

  it('rejects a manifest of 1 GiB', async () => {
    const store = await tempStore();
    const digest = digestOf('another content');
    writeFileSync(store.blobPath(digest), '{"schemaVersion":2,');
    truncateSync(store.blobPath(digest), 2 ** 30);
    const { message, rss } = await composeInProcess(store, await configOf(store, digest));
    expect(message).toMatch(/lkt\/evil:1.*has 1073741824 bytes/);
    expect(rss).toBeLessThan(200);
  });
});

it('composes ten thousand services', async () => {
  const store = await tempStore();
  const service = await image(store, [{ 'bin/': '', 'bin/a': 'a' }], { Cmd: ['/bin/a'] });
  const text = await configOf(store, service);
  const services = Array.from(
    { length: 10_000 },
    (_, index) => `  - {name: s${index}, image: lkt/a:1@${service}}\n`,
  );
  const { message, rss } = await composeInProcess(store, `${text}services:\n${services.join('')}`);
  expect(message).toBe('');
  expect(rss).toBeLessThan(600);
});

/** Yields a million and one entries, by changing digits and the checksum of one header. */
async function* manyEntries(): AsyncGenerator<Uint8Array> {
  const first = header('d/0000000');
  const base = Number.parseInt(first.toString('latin1', 148, 154), 8);
  for (let at = 0; at < 1_001_000; at += 1000) {
    const blocks = Buffer.alloc(1000 * 512);
    for (let index = 0; index < 1000; index += 1) {
      const digits = String(at + index).padStart(7, '0');
      const start = index * 512;
      first.copy(blocks, start);
      blocks.write(digits, start + 2, 'latin1');
      let sum = base;
      for (let digit = 0; digit < 7; digit += 1) sum += digits.charCodeAt(digit) - 48;
      blocks.write(sum.toString(8).padStart(6, '0'), start + 148, 'latin1');
    }
    yield blocks;
  }
  yield END;
}

function longName(length: number): Buffer {
  const name = Buffer.alloc(Math.ceil(length / 512) * 512);
  name.fill('a'.repeat(99) + '/', 0, length);
  name[length - 1] = 0x61;
  return Buffer.concat([
    header('././@LongLink', { type: 'L', size: length }),
    name,
    header('evil'),
  ]);
}

/** Yields a gzip archive with one file of zeros, by repeating a piece of deflate. */
async function* bomb(pieces: number): AsyncGenerator<Uint8Array> {
  const zeros = Buffer.alloc(2 ** 24);
  const start = header('evil', { size: pieces * zeros.length });
  const flush = { finishFlush: constants.Z_FULL_FLUSH };
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  yield deflateRawSync(start, flush);
  const piece = deflateRawSync(zeros, flush);
  let checksum = crc32(start);
  for (let count = 0; count < pieces; count += 1) {
    checksum = crc32(zeros, checksum);
    yield piece;
  }
  yield deflateRawSync(END);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(END, checksum));
  trailer.writeUInt32LE((start.length + pieces * zeros.length + END.length) % 2 ** 32, 4);
  yield trailer;
}

/**
 * Yields the same as zstd (RFC 8878, 3.1.1): blocks of four bytes that repeat one byte 128 Ki
 * times.
 */
async function* zstdBomb(pieces: number): AsyncGenerator<Uint8Array> {
  const raw = 0;
  const repeated = 1;
  const zeros = 2 ** 17;
  yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]);
  yield Buffer.concat([zstdBlock(raw, 512), header('evil', { size: pieces * zeros })]);
  const piece = Buffer.concat([zstdBlock(repeated, zeros), Buffer.alloc(1)]);
  for (let count = 0; count < pieces; count += 1) yield piece;
  yield Buffer.concat([zstdBlock(raw, END.length, true), END]);
}

function zstdBlock(type: number, size: number, isLast = false): Buffer {
  const start = Buffer.alloc(3);
  start.writeUIntLE((size << 3) | (type << 1) | (isLast ? 1 : 0), 0, 3);
  return start;
}
