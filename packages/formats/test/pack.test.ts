import { describe, expect, it } from 'vitest';
import { packer, uint32s } from '../src/bytes/pack.ts';

describe('packer', () => {
  it.each<[string, readonly (number | bigint | string | Uint8Array)[], string]>([
    ['<BHIQ', [1, 0x0203, 0x0405_0607, 8], '01 0302 07060504 0800000000000000'],
    ['>BHIQ', [1, 0x0203, 0x0405_0607, 8], '01 0203 04050607 0000000000000008'],
    ['<hq', [-2, -3], 'feff fdffffffffffffff'],
    ['<Q', [0xffff_ffff_ffff_ffffn], 'ffffffffffffffff'],
    ['<WD', [0x0102, 0x0304_0506], '0201 0102 06050403 03040506'],
    ['<4s2x3sB', ['ab', Buffer.of(1, 2, 3, 4), 9], '61620000 0000 010203 09'],
    ['<2sB', ['abc', 9], '6162 09'],
  ])('writes %s', (format, values, hex) => {
    expect(packer(format)(...values).toString('hex')).toBe(hex.replaceAll(' ', ''));
  });

  it('rejects values that do not fit', () => {
    expect(() => packer('<B')(256)).toThrow(RangeError);
    expect(() => packer('<H')(-1)).toThrow(RangeError);
    expect(() => packer('<BB')(1)).toThrow('<BB has 2 values');
  });
});

describe('uint32s', () => {
  it('writes the blocks of a file of 24 GiB', () => {
    const bytes = uint32s(Array.from({ length: 200_000 }, (_, index) => index));
    expect([bytes.length, bytes.readUInt32LE(4 * 199_999)]).toEqual([800_000, 199_999]);
  });
});
