import { createHash } from 'node:crypto';
import { readTar } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { arHeader } from '../src/deb/ar.ts';
import { debControl, debTar } from '../src/deb/deb.ts';
import { findXzDecoder, type XzDecoder } from '../src/deb/xz.ts';
import { buildDeb, type TestDeb } from './test-archive.ts';
import { collect, pieces } from './support.ts';

const DEB: TestDeb = {
  name: 'hello',
  fields: { Replaces: 'hallo (<< 2)' },
  files: {
    'usr/bin/hello': { text: '#!/bin/sh\n'.repeat(50_000), mode: 0o755 },
    'usr/share/x': Array.from({ length: 20_000 }, (_, i) =>
      createHash('md5').update(String(i)).digest('hex'),
    ).join('\n'),
  },
};

describe('debTar', () => {
  const decoders: readonly XzDecoder[] = ['xz', 'dpkg-deb', 'wasm'];

  it('produces the same bytes with every decoder', async () => {
    const deb = await buildDeb(DEB);
    const [first, ...others] = await Promise.all(
      decoders.map(async (decoder) => collect(debTar(pieces(deb), { what: 'hello', decoder }))),
    );
    expect(first?.length).toBeGreaterThan(1_000_000);
    for (const other of others) expect(other.equals(first ?? Buffer.alloc(0))).toBe(true);
  });

  it.each(['xz', 'gzip', 'zstd', 'none'] as const)('reads %s', async (compression) => {
    const deb = await buildDeb({ ...DEB, compression });
    const names: string[] = [];
    for await (const { path } of readTar(debTar(pieces(deb, 1 << 16), { what: 'hello' })))
      names.push(path);
    expect(names).toEqual(['', 'usr', 'usr/bin', 'usr/bin/hello', 'usr/share', 'usr/share/x']);
  });

  it.each(decoders)('rejects a truncated or damaged package (%s)', async (decoder) => {
    const deb = await buildDeb(DEB);
    const cut = deb.subarray(0, deb.length - 5000);
    const damaged = Buffer.from(deb);
    damaged.fill(0x55, deb.length - 5000, deb.length - 4000);
    for (const bytes of [cut, damaged])
      await expect(
        collect(debTar(pieces(bytes), { what: 'hello 1.0', decoder })),
      ).rejects.toMatchObject({
        code: 'ARCHIVE_INVALID',
      });
  });

  it.each(['gzip', 'zstd'] as const)('rejects a damaged package (%s)', async (compression) => {
    const deb = Buffer.from(await buildDeb({ ...DEB, compression }));
    deb.fill(0x55, deb.length - 3000, deb.length - 2000);
    await expect(collect(debTar(pieces(deb), { what: 'hello 1.0' }))).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: expect.stringContaining('hello 1.0') as string,
    });
  });

  it.each(decoders)('throws the error of its source (%s)', async (decoder) => {
    const deb = await buildDeb(DEB);
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield deb.subarray(0, deb.length - 100);
      throw new Error('the disk is gone');
    };
    await expect(collect(debTar(failing(), { what: 'hello', decoder }))).rejects.toThrow(
      'the disk is gone',
    );
  });

  it.each(decoders)('allows the reader to stop early (%s)', async (decoder) => {
    const deb = await buildDeb(DEB);
    for await (const chunk of debTar(pieces(deb), { what: 'hello', decoder })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });

  it('reads its source to the end', async () => {
    const deb = await buildDeb({ ...DEB, compression: 'none' });
    let ended = false;
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      yield* pieces(deb);
      ended = true;
    };
    await collect(debTar(watched(), { what: 'hello' }));
    expect(ended).toBe(true);
  });

  it.each([
    ['no data', [member('debian-binary', '2.0\n')]],
    [
      'data twice',
      [member('debian-binary', '2.0\n'), member('data.tar', 'ab'), member('data.tar', 'cd')],
    ],
    ['another first member', [member('data.tar', 'ab')]],
  ])('rejects a package with %s', async (_what, members) => {
    const bytes = Buffer.concat([Buffer.from('!<arch>\n'), ...members]);
    await expect(collect(debTar(pieces(bytes), { what: 'x' }))).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
  });

  it('names an unsupported compression', async () => {
    const bytes = Buffer.concat([
      Buffer.from('!<arch>\n'),
      member('debian-binary', '2.0\n'),
      member('data.tar.bz2', 'ab'),
    ]);
    await expect(collect(debTar(pieces(bytes), { what: 'x' }))).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('data.tar.bz2') as string,
    });
  });
});

describe('debControl', () => {
  it('reads the control file', async () => {
    const control = await debControl(pieces(await buildDeb(DEB)), { what: 'hello' });
    expect([control.get('package'), control.get('replaces')]).toEqual(['hello', 'hallo (<< 2)']);
  });
});

it('finds a fast decoder if the machine has one', async () => {
  expect(await findXzDecoder()).toBe('xz');
});

function member(name: string, text: string): Buffer {
  return Buffer.concat([arHeader(name, text.length), Buffer.from(text)]);
}
