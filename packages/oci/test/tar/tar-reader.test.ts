import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EntryWithContent, readTar, toRaw, writeTar } from '../../src/index.ts';
import {
  chunks,
  collect,
  directory,
  entry,
  failure,
  file,
  hardlink,
  listTar,
  run,
  symlink,
  tempDir,
} from '../support.ts';

/** Builds a ustar header block and sets the checksum last; `at` overwrites bytes at offsets. */
function block(fields: {
  name?: string;
  type?: string;
  size?: string;
  link?: string;
  prefix?: string;
  magic?: string;
  at?: Record<number, string>;
}): Buffer {
  const header = Buffer.alloc(512);
  const put = (offset: number, text: string): void => void header.write(text, offset, 'latin1');
  put(0, fields.name ?? 'f');
  put(100, '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, fields.size ?? '00000000000\0');
  put(136, '00000000000\0');
  put(156, fields.type ?? '0');
  put(157, fields.link ?? '');
  put(257, fields.magic ?? 'ustar\x0000');
  put(345, fields.prefix ?? '');
  for (const [offset, text] of Object.entries(fields.at ?? {})) put(Number(offset), text);
  put(148, ' '.repeat(8));
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return header;
}

function padded(text: string): Buffer {
  const data = Buffer.from(text, 'latin1');
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function meta(type: string, text: string): Buffer {
  const size = `${Buffer.from(text, 'latin1').length.toString(8).padStart(11, '0')}\0`;
  return Buffer.concat([block({ name: 'meta', type, size }), padded(text)]);
}

const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (`${length}${rest}`.length !== length) length += 1;
  return `${length}${rest}`;
};

const pax = (records: Record<string, string>, type = 'x'): Buffer =>
  meta(
    type,
    Object.entries(records)
      .map(([key, value]) => record(key, value))
      .join(''),
  );

function reseal(header: Buffer): void {
  if (header.toString('latin1', 257, 262) !== 'ustar') return;
  header.write(' '.repeat(8), 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

const threeFiles = async (): Promise<Buffer> =>
  collect(writeTar([file('a', 'x'.repeat(3000)), file('b', 'y'.repeat(3000)), file('c', 'z')]));

/** Reads only the headers. */
const skip = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
  for await (const item of readTar(source, { maxBytes: 5000 })) void item;
};

const END = Buffer.alloc(1024);
const read = async (...parts: Buffer[]): Promise<Awaited<ReturnType<typeof listTar>>> =>
  listTar(chunks(Buffer.concat(parts), 700));

describe('round trip', () => {
  const part = fc
    .array(
      fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f),
      { minLength: 1, maxLength: 130 },
    )
    .map((bytes) => String.fromCharCode(...bytes))
    .filter((name) => name !== '.' && name !== '..');
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const id = fc.oneof(
    fc.constantFrom(0, 2_097_151, 2_097_152),
    fc.integer({ min: 0, max: 2 ** 32 - 2 }),
  );
  const common = {
    path,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: id,
    gid: id,
    mtime: fc.oneof(
      fc.constantFrom(-1, 2 ** 33 - 1, 2 ** 33),
      fc.integer({ min: -1e12, max: 1e12 }),
    ),
  };
  const xattrs = fc
    .dictionary(
      fc.constantFrom('user.a', 'security.capability', toRaw('user.ä')),
      fc.uint8Array({ maxLength: 600 }),
      { minKeys: 1 },
    )
    .map(
      (values) => new Map(Object.entries(values).map(([key, value]) => [key, Buffer.from(value)])),
    );
  const data = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
  const optional = {
    requiredKeys: ['path', 'type', 'mode', 'uid', 'gid', 'mtime', 'size'] as const,
  };
  const item = fc.oneof(
    fc
      .record(
        { ...common, type: fc.constant('file' as const), data, xattrs },
        { requiredKeys: ['path', 'type', 'mode', 'uid', 'gid', 'mtime', 'data'] },
      )
      .map(({ data: bytes, ...rest }) => ({
        ...rest,
        size: bytes.length,
        ...(bytes.length > 0 ? { data: bytes } : {}),
      })),
    fc.record(
      {
        ...common,
        type: fc.constantFrom('directory' as const, 'fifo' as const),
        size: fc.constant(0),
        xattrs,
      },
      { requiredKeys: [...optional.requiredKeys] },
    ),
    fc.record({
      ...common,
      type: fc.constantFrom('symlink' as const, 'hardlink' as const),
      size: fc.constant(0),
      link: path,
    }),
    fc.record({
      ...common,
      type: fc.constantFrom('char' as const, 'block' as const),
      size: fc.constant(0),
      devMajor: fc.integer({ min: 0, max: 4095 }),
      devMinor: fc.integer({ min: 0, max: 1_048_575 }),
    }),
  );

  test('preserves any bytes in names, links and attributes, any ids and times', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 6 }),
        fc.integer({ min: 1, max: 3000 }),
        async (items, size) => {
          const entries = items.map((value): EntryWithContent => {
            const { data: bytes, ...rest } = value as typeof value & { data?: Buffer };
            return bytes === undefined ? rest : { ...rest, content: chunks(bytes, 77) };
          });
          const archive = await collect(writeTar(entries));
          expect(await listTar(chunks(archive, size))).toEqual(items);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('preserves a root directory', async () => {
    expect(await listTar(writeTar([directory('')]))).toEqual([directory('')]);
  });
});

describe('archives of other programs', () => {
  test.each(['gnu', 'pax'])('rejects sparse files of GNU tar (%s)', async (format) => {
    await using temp = await tempDir();
    await writeFile(join(temp.path, 'sparse'), 'x');
    await truncate(join(temp.path, 'sparse'), 10_000_000);
    const archive = run('tar', ['--sparse', `--format=${format}`, '-cf', '-', 'sparse'], {
      cwd: temp.path,
    });
    const error = await failure('UNSUPPORTED', listTar(chunks(archive)));
    expect(error.message).toMatch(/^sparse files in a tar archive are not supported/);
  });
});

describe('headers', () => {
  test.each([
    ['./a//b/.', 'a/b'],
    ['/etc/passwd', 'etc/passwd'],
    ['//a', 'a'],
    ['a...b', 'a...b'],
    ['..a', '..a'],
  ])('normalizes the path %j to %j', async (name, path) => {
    expect((await read(block({ name }), END)).map((item) => item.path)).toEqual([path]);
  });

  test('reads base-256 numbers, and negative times in two’s complement', async () => {
    const at = { 108: '\x80\0\0\0\x80\0\0\0', 136: '\xff'.repeat(11) + '\xfb' };
    expect((await read(block({ at }), END))[0]).toMatchObject({ uid: 2 ** 31, mtime: -5 });
  });

  test('rounds PAX times down to seconds', async () => {
    const times = await read(
      pax({ mtime: '1.999999999' }),
      block({}),
      pax({ mtime: '-1.5' }),
      block({}),
      pax({ mtime: '5' }),
      block({}),
      END,
    );
    expect(times.map((item) => item.mtime)).toEqual([1, -2, 5]);
  });

  test('applies a global header until it changes; a local one takes precedence', async () => {
    const entries = await read(
      pax({ uid: '7', 'V.x': 'g' }, 'g'),
      block({ name: 'a' }),
      pax({ uid: '8' }),
      block({ name: 'b' }),
      pax({ uid: '' }, 'g'),
      block({ name: 'c' }),
      END,
    );
    expect(entries.map((item) => [item.uid, item.pax?.get('V.x')])).toEqual([
      [7, 'g'],
      [8, 'g'],
      [0, 'g'],
    ]);
  });

  test('keeps vendor records, but not those tar programs write for themselves', async () => {
    const [found] = await read(
      pax({
        'LINUXKIT.source': 'x',
        atime: '1',
        'SCHILY.dev': '5',
        'LIBARCHIVE.creationtime': '1',
        hdrcharset: 'BINARY',
      }),
      block({}),
      END,
    );
    expect(found?.pax).toEqual(new Map([['LINUXKIT.source', 'x']]));
  });

  test('ignores the size field of directories and links', async () => {
    const size = '00000001000\0';
    const entries = await read(
      block({ name: 'd', type: '5', size }),
      block({ name: 'l', type: '1', link: 'd', size }),
      block({}),
      END,
    );
    expect(entries.map((item) => item.type)).toEqual(['directory', 'hardlink', 'file']);
  });

  test('reads a star prefix, an old directory, a contiguous file, a signed checksum', async () => {
    const star = block({ name: 'n', prefix: 'p', at: { 508: 'tar\0', 476: '11111111111 ' } });
    const signed = block({ name: '\xff' });
    signed.write(
      `${(Number.parseInt(signed.toString('latin1', 148, 154), 8) - 256).toString(8).padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    const entries = await read(
      star,
      block({ name: 'd/', type: '\0', magic: '' }),
      block({ name: 'c', type: '7' }),
      signed,
      END,
    );
    expect(entries.map((item) => [item.path, item.type])).toEqual([
      ['p/n', 'file'],
      ['d', 'directory'],
      ['c', 'file'],
      ['\xff', 'file'],
    ]);
  });
});

describe('rejects malformed archives', () => {
  const broken: [string, RegExp, Buffer[]][] = [
    ['parent directory', /has the invalid path "a\/\.\.\/b"/, [block({ name: 'a/../b' }), END]],
    [
      'parent directory in a PAX path',
      /has the invalid path "\.\."/,
      [pax({ path: '..' }), block({}), END],
    ],
    [
      'parent directory in a hard link',
      /has the invalid path/,
      [block({ type: '1', link: '../x' }), END],
    ],
    ['hard link without a target', /hard link without a target/, [block({ type: '1' }), END]],
    [
      'symbolic link without a target',
      /symbolic link with an invalid target/,
      [block({ type: '2' }), END],
    ],
    [
      'file without a name',
      /a file without a name/,
      [block({ name: './', type: '0', at: { 0: '.\0' } }), END],
    ],
    [
      'path beyond PATH_MAX',
      /has the invalid path/,
      [pax({ path: 'a/'.repeat(2100) }), block({}), END],
    ],
    ['NUL in a PAX path', /an invalid PAX header/, [pax({ path: 'a\0b' }), block({}), END]],
    [
      'wrong checksum',
      /an invalid checksum \(at or after "ok"\)/,
      [block({ name: 'ok' }), Buffer.from(block({})).fill('x', 0, 1), END],
    ],
    ['text instead of a header', /an invalid checksum/, [Buffer.alloc(512, 'text')]],
    ['letters in a number', /an invalid uid/, [block({ at: { 108: 'abc' } }), END]],
    [
      'number beyond 2^53',
      /an invalid size/,
      [block({ at: { 124: '\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff' } }), END],
    ],
    ['negative size', /an invalid size/, [block({ at: { 124: '\xff'.repeat(12) } }), END]],
    ['negative owner in PAX', /an invalid uid/, [pax({ uid: '-1' }), block({}), END]],
    ['owner beyond 32 bits', /an invalid gid/, [pax({ gid: '4294967296' }), block({}), END]],
    [
      'owner that chown(2) leaves unchanged',
      /an invalid uid/,
      [pax({ uid: '4294967295' }), block({}), END],
    ],
    [
      'device with a major number beyond 12 bits',
      /an invalid device/,
      [block({ type: '3', at: { 329: '0010000\0' } }), END],
    ],
    [
      'device with a minor number beyond 20 bits',
      /an invalid device/,
      [block({ type: '4', at: { 337: '4000000\0' } }), END],
    ],
    ['malformed size in PAX', /an invalid size/, [pax({ size: '1e3' }), block({}), END]],
    ['malformed time in PAX', /an invalid mtime/, [pax({ mtime: 'now' }), block({}), END]],
    [
      'device number beyond the field',
      /an invalid device/,
      [block({ type: '3', at: { 329: '\x80\0\0\0\x80\0\0\0' } }), END],
    ],
    [
      'continues after a zero block',
      /continues after a zero block/,
      [Buffer.alloc(512), block({}), END],
    ],
    ['PAX header without an entry', /ends after an extended header/, [pax({ uid: '1' }), END]],
    [
      'PAX record longer than the header',
      /an invalid PAX header/,
      [meta('x', '99 uid=1\n'), block({}), END],
    ],
    ['PAX record of length 0', /an invalid PAX header/, [meta('x', '0 uid=1\n'), block({}), END]],
    [
      'PAX record without a newline',
      /an invalid PAX header/,
      [meta('x', '8 uid=1x'), block({}), END],
    ],
    ['PAX record without a key', /an invalid PAX header/, [meta('x', '5 =1\n'), block({}), END]],
    [
      'PAX record without =',
      /an invalid PAX header/,
      [meta('x', '6 uid\n8 a=b\n'), block({}), END],
    ],
    [
      'path in a global header',
      /sets the path of every entry/,
      [pax({ path: 'x' }, 'g'), block({}), END],
    ],
    [
      'PAX header beyond the limit',
      /an extended header of 1048577 bytes/,
      [block({ type: 'x', size: '00004000001\0' })],
    ],
    [
      'GNU long name beyond the limit',
      /an extended header of/,
      [block({ type: 'L', size: '77777777777\0' })],
    ],
    [
      'global headers beyond the limit',
      /bytes of global headers/,
      Array.from({ length: 5 }, (_, index) => pax({ [`V.${index}`]: 'x'.repeat(300_000) }, 'g')),
    ],
    ['truncated in a header', /is truncated/, [block({}).subarray(0, 100)]],
    [
      'truncated in content',
      /is truncated \(at or after "f"\)/,
      [block({ size: '00000001000\0' }), Buffer.alloc(100)],
    ],
    ['truncated in padding', /is truncated/, [block({ size: '00000000001\0' }), Buffer.alloc(100)]],
    ['truncated in a PAX header', /is truncated/, [pax({ uid: '1' }).subarray(0, 520)]],
  ];
  test.each(broken)('%s', async (_name, message, parts) => {
    const error = await failure('ARCHIVE_INVALID', read(...parts));
    expect(error.message).toMatch(message);
  });

  test('rejects entry types of a single program', async () => {
    for (const type of ['V', 'M', 'D', 'Z'])
      expect((await failure('UNSUPPORTED', read(block({ type }), END))).message).toContain(
        `type "${type}"`,
      );
  });

  test('limits the number of entries, extended headers included', async () => {
    const many = Buffer.concat(
      Array.from({ length: 6 }, () => Buffer.concat([pax({ uid: '1' }), block({})])),
    );
    await failure('ARCHIVE_INVALID', listTar(chunks(many), { maxEntries: 11 }));
    expect(await listTar(chunks(many), { maxEntries: 12 })).toHaveLength(6);
    const headersOnly = Buffer.concat(Array.from({ length: 12 }, () => pax({ uid: '1' })));
    await failure('ARCHIVE_INVALID', listTar(chunks(headersOnly), { maxEntries: 11 }));
  });

  test('limits the bytes read, skipped or after the end', async () => {
    const archive = await collect(writeTar([file('f', Buffer.alloc(10_000))]));
    await failure('ARCHIVE_INVALID', listTar(chunks(archive), { maxBytes: 5000 }));
    await failure('ARCHIVE_INVALID', skip(chunks(archive)));
    await failure('ARCHIVE_INVALID', skip(chunks(Buffer.alloc(20_000))));
  });

  test('any damage yields entries or an LktError', async () => {
    const whole = await collect(
      writeTar([
        directory('d'),
        file(toRaw('d/ü'), 'content', { xattrs: new Map([['user.a', Buffer.from([0, 255])]]) }),
        symlink('s', 'd'),
        hardlink('h', toRaw('d/ü')),
        entry('c', { type: 'char', devMajor: 1, devMinor: 3 }),
      ]),
    );
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        damage,
        fc.boolean(),
        fc.nat(whole.length),
        async (changes, fixSums, end) => {
          const archive = Buffer.from(whole);
          for (const [offset, byte] of changes) archive[offset] = byte;
          if (fixSums)
            for (let at = 0; at < archive.length; at += 512) reseal(archive.subarray(at, at + 512));
          await listTar(chunks(archive.subarray(0, end))).catch((error: unknown) => {
            if (!(error instanceof LktError)) throw error;
          });
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('streaming', () => {
  test('skips unread content, wholly or in part', async () => {
    const seen: string[] = [];
    for await (const item of readTar(chunks(await threeFiles(), 100))) {
      if (item.path === 'a') continue;
      for await (const part of item.content ?? []) {
        seen.push(`${item.path}${part.toString()[0] ?? ''}`);
        break;
      }
    }
    expect(seen).toEqual(['by', 'cz']);
  });

  test('rejects reading content twice or late', async () => {
    const reader = readTar(chunks(await threeFiles()));
    const first = (await reader.next()).value as EntryWithContent;
    await collect(first.content ?? chunks(''));
    await expect(collect(first.content ?? chunks(''))).rejects.toThrow(/read once/);
    const second = (await reader.next()).value as EntryWithContent;
    await reader.next();
    await expect(collect(second.content ?? chunks(''))).rejects.toThrow(/read once/);
  });

  test('reads the source to its end, and ends it when the consumer stops', async () => {
    let state = 'reading';
    async function* source(data: Buffer): AsyncGenerator<Uint8Array> {
      try {
        yield* chunks(data);
        yield Buffer.from('after the end');
        state = 'read';
      } finally {
        if (state === 'reading') state = 'closed';
      }
    }
    await listTar(source(await threeFiles()));
    expect(state).toBe('read');
    state = 'reading';
    for await (const item of readTar(source(await threeFiles()))) if (item.path === 'b') break;
    expect(state).toBe('closed');
  });

  test('forwards an error of the source unchanged', async () => {
    const problem = new Error('line is down');
    async function* source(): AsyncGenerator<Uint8Array> {
      yield block({ size: '00000001000\0' });
      throw problem;
    }
    await expect(listTar(source())).rejects.toBe(problem);
  });

  test('reads an archive without end blocks', async () => {
    expect(await listTar(chunks(block({ name: 'a' })))).toHaveLength(1);
    expect(
      await listTar(chunks(Buffer.concat([block({ name: 'a' }), Buffer.alloc(512)]))),
    ).toHaveLength(1);
    expect(await listTar(chunks(''))).toEqual([]);
  });
});
