import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { toRaw } from '@lkt/oci';
import { expect, test } from 'vitest';
import { kernelComponent } from '../src/kernel-component.ts';
import { KernelScanner } from '../src/kernel-scanner.ts';

const TEXT = '6.12.94 (root@host) #1 SMP PREEMPT_DYNAMIC Mon Apr 18 16:30:00 UTC 2017';
const BANNER = `Linux version ${TEXT.replace(' #1', ' (gcc (Debian 14.2.0-19) 14.2.0, GNU ld 2.44) #1')}`;

function scan(bytes: Buffer, path = 'kernel', piece = bytes.length): string | undefined {
  const scanner = new KernelScanner(toRaw(path), bytes.length);
  const chunk = Buffer.alloc(piece);
  for (let at = 0; at < bytes.length; at += piece)
    scanner.push(chunk.subarray(0, bytes.copy(chunk, 0, at)));
  return scanner.result();
}

function x86(text: string, at = 0x3e00): Buffer {
  const kernel = Buffer.alloc(0x1_2000);
  kernel.write('HdrS', 0x202);
  kernel.writeUInt16LE(at - 0x200, 0x20e);
  kernel.write(`${text}\0`, at, 'latin1');
  return kernel;
}

/** A kernel with its magic at the start or at 0x38, and its banner after `before` bytes. */
function image(magic: string, at: number, banner = BANNER, before = 70_001): Buffer {
  const head = Buffer.alloc(before);
  head.write(magic, at, 'latin1');
  return Buffer.concat([head, Buffer.from(`${banner}\n\0`), Buffer.alloc(4096)]);
}

test.each([
  ['x86', x86(TEXT), TEXT],
  ['x86, with its text at the end of the range', x86(TEXT, 0x200 + 0xff_ff), TEXT],
  ['ELF', image('\x7fELF', 0), BANNER.slice('Linux version '.length)],
  ['arm64', image('ARM\x64', 0x38), BANNER.slice('Linux version '.length)],
  ['RISC-V', image('RSC\x05', 0x38), BANNER.slice('Linux version '.length)],
  ['arm64, packed', gzipSync(image('ARM\x64', 0x38)), BANNER.slice('Linux version '.length)],
])('finds the version of a kernel for %s, in chunks of any size', (_what, kernel, text) => {
  for (const piece of [1, 513, 65_536, kernel.length])
    expect(scan(kernel, 'boot/vmlinuz-6', piece)).toBe(text);
});

test.each([
  ['a program that prints the text', image('\x7fELF', 0, 'Linux version %s (%s)')],
  ['a program with another form of it', image('\x7fELF', 0, 'Linux version 6.12.94 is running')],
  ['another file with a banner', image('x', 0)],
  ['an x86 kernel without text', x86('')],
  ['a damaged archive', gzipSync(image('ARM\x64', 0x38)).subarray(0, -100)],
  ['a short file', Buffer.from('\x7fELF')],
  ['an empty file', Buffer.alloc(0)],
])('finds nothing in %s', (_what, bytes) => {
  expect(scan(bytes)).toBeUndefined();
});

test('unpacks only files with the name of a kernel', () => {
  const packed = gzipSync(image('ARM\x64', 0x38));
  expect(scan(packed, 'usr/share/doc/changelog.gz')).toBeUndefined();
});

test('does not unpack more than 256 MiB', () => {
  const bomb = gzipSync(Buffer.concat([Buffer.alloc(257 * 2 ** 20), Buffer.from(BANNER)]));
  expect(scan(bomb)).toBeUndefined();
});

test('never fails, whatever the bytes', () => {
  const magic = fc.constantFrom('\x7fELF', '\x1f\x8b\x08', 'HdrS', 'Linux version 6.1 (a@b) (');
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 600 }),
          magic.map((text) => Buffer.from(text, 'latin1')),
        ),
        { maxLength: 8 },
      ),
      fc.integer({ min: 1, max: 700 }),
      (pieces, piece) => {
        const bytes = Buffer.concat(pieces);
        expect(scan(bytes, 'kernel', piece)).toBe(scan(bytes));
      },
    ),
  );
});

test.each([
  [TEXT, '6.12.94'],
  ['6.12.107-lkt (lkt@lkt) #1 SMP @1492533000', '6.12.107'],
  ['6.13-rc3 (a@b) #1', '6.13-rc3'],
  ['6.12.118+deb13-cloud-amd64 (a@b) #1 SMP Debian 6.12.118-1 (2026-11-20)', '6.12.118'],
  // The release of Debian 12 is that of its interface, not of its source.
  ['6.1.0-18-amd64 (a@b) #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)', '6.1.76'],
])('the upstream version of %s is %s', (text, version) => {
  expect(kernelComponent(text)).toMatchObject({
    name: 'linux',
    version,
    purl: `pkg:generic/linux@${version}`,
    cpe: `cpe:2.3:o:linux:linux_kernel:${version}:*:*:*:*:*:*:*`,
    comment: text,
  });
});

test('a kernel without a version has no CPE', () => {
  expect(kernelComponent('custom (a@b) #1')).toMatchObject({
    purl: 'pkg:generic/linux',
    version: undefined,
    cpe: undefined,
  });
});
