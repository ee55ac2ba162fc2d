import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isPoolPath, PackagesIndex } from '../src/archive/packages-index.ts';

const HASH = 'a'.repeat(64);
const TAIL = `Architecture: all\nSize: 5\nSHA256: ${HASH}\n`;
const TEXT = [
  `Package: one\nVersion: 1\nFilename: pool/one.deb\nDepends: two (>= 1),\n three | four\nPre-Depends: five\n${TAIL}`,
  `Package: one\nVersion: 2\nFilename: ./pool/one2.deb\nBreaks: x\nConflicts: y\nProvides: v (= 2), w\n${TAIL}`,
  `Package: two\nVersion: 1\nFilename: pool/two.deb\nPriority: important\nMaintainer: Ünïcode\n${TAIL}`,
].join('\n');

async function load(text: string, piece = 1 << 16): Promise<PackagesIndex> {
  const dir = await mkdtemp(join(tmpdir(), 'lkt-index-'));
  const bytes = Buffer.from(text);
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  };
  onTestFinished(async () => rm(dir, { recursive: true }));
  const index = await PackagesIndex.load(pieces(), join(dir, 'index'), 'debian');
  onTestFinished(async () => index[Symbol.asyncDispose]());
  return index;
}

describe('PackagesIndex', () => {
  it.each([1, 7, 64, 1 << 16])('finds packages in chunks of any size (%i)', async (piece) => {
    const index = await load(TEXT, piece);
    expect(index.versions('one').map(({ version, path }) => [version, path])).toEqual([
      ['1', 'pool/one.deb'],
      ['2', 'pool/one2.deb'],
    ]);
    expect(
      index.versions('one')[0]?.depends.map((clause) => clause.map(({ name }) => name)),
    ).toEqual([['five'], ['two'], ['three', 'four']]);
    expect(index.versions('one')[1]).toMatchObject({
      conflicts: [[{ name: 'y' }], [{ name: 'x' }]],
      provides: [{ name: 'v', relation: '=', version: '2' }, { name: 'w' }],
      priority: 'optional',
      size: 5,
      digest: `sha256:${HASH}`,
      archive: 'debian',
    });
    expect(index.versions('two')).toMatchObject([{ priority: 'important' }]);
    expect(index.providers('v')).toMatchObject([{ name: 'one', version: '2' }]);
    expect(index.versions('three')).toEqual([]);
  });

  it.each([
    ['no name', 'Version: 1\n'],
    ['an endless paragraph', `Package: a\nDescription: ${'x'.repeat(1 << 21)}\n`],
  ])('rejects %s', async (_what, text) => {
    await expect(load(text)).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it.each([
    ['a path that leaves the archive', TEXT.replace('pool/two.deb', '../../etc/passwd')],
    ['an absolute path', TEXT.replace('pool/two.deb', '/etc/passwd')],
    ['no digest', TEXT.replaceAll(HASH, 'x')],
    ['no size', TEXT.replaceAll('Size: 5', 'Size: big')],
    ['an empty file', TEXT.replaceAll('Size: 5', 'Size: 0')],
    ['a size in other form', TEXT.replaceAll('Size: 5', 'Size: 5e0')],
    ['spaces in its version', TEXT.replaceAll('Version: 1', 'Version: 1 x')],
    ['a control character in its version', TEXT.replaceAll('Version: 1', 'Version: 1\u001B[2J')],
    ['an empty version', TEXT.replaceAll('Version: 1', 'Version: ')],
    ['a list of architectures', TEXT.replaceAll('Architecture: all', 'Architecture: all any')],
    ['no version', TEXT.replace('Package: two\nVersion: 1\n', 'Package: two\n')],
  ])('rejects an entry with %s', async (_what, text) => {
    const index = await load(text);
    expect(() => index.versions('two')).toThrow(
      expect.objectContaining({ code: 'ARCHIVE_INVALID' }),
    );
  });
});

describe('isPoolPath', () => {
  it('accepts Debian’s paths', () => {
    expect(isPoolPath('pool/main/libs/libsigc++-2.0/libsigc++-2.0-0v5_2.12.1-3~x_amd64.deb')).toBe(
      true,
    );
  });
  it('never accepts a path that leaves the archive', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('..', '.', '', 'a', 'b%2f', '?q', '#f'), { minLength: 1 }),
        (parts) => {
          const path = parts.join('/');
          const good = parts.every((part) => part === 'a');
          expect(isPoolPath(path)).toBe(good);
        },
      ),
    );
  });
});
