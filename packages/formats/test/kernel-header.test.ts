import { describe, expect, it } from 'vitest';
import { kernelInitSize } from '../src/linux-boot/kernel-header.ts';

function header(magic: string, version: number): Buffer {
  const head = Buffer.alloc(0x300);
  head.write(magic, 0x202, 'latin1');
  head.writeUInt16LE(version, 0x206);
  head.writeUInt32LE(28_733_440, 0x260);
  return head;
}

describe('kernelInitSize', () => {
  it.each([
    ['a kernel for x86', header('HdrS', 0x20f), 28_733_440],
    ['a kernel from before the field', header('HdrS', 0x209), undefined],
    ['another file', header('MZ..', 0x20f), undefined],
    ['a truncated header', header('HdrS', 0x20f).subarray(0, 0x204), undefined],
    ['an empty file', Buffer.alloc(0), undefined],
  ])('returns the size or undefined for %s', (_name, bytes, size) => {
    expect(kernelInitSize(bytes)).toBe(size);
  });
});
