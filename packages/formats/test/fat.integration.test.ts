import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inMemory, rawBytes } from '../src/bytes/disk.ts';
import { type FatFile, type FatOptions, planFat } from '../src/fat/fat.ts';
import { collect, tempDir } from './support.ts';

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
}

async function write(
  files: readonly FatFile[],
  kind: FatOptions['kind'],
): Promise<{ readonly path: string; readonly bits: number }> {
  const plan = planFat(files, { kind, id: 0x1234_abcd, label: 'LABEL' });
  const bytes = await collect(rawBytes(plan.disk()));
  expect(bytes.length).toBe(plan.size);
  const path = join(tempDir(), 'fat.img');
  writeFileSync(path, bytes);
  return { path, bits: plan.bits };
}

const MANY = Array.from({ length: 200 }, (_, index) => `many/f${index}.txt`);

it.for([
  ['smallest', 4_000, 12],
  ['smallest', 4_000_000, 16],
  ['smallest', 40_000_000, 16],
  ['fat32', 4_000, 32],
  ['fat32', 40_000_000, 32],
] as const)(
  '%s with %i bytes is FAT%i, which dosfstools and mtools read',
  async ([kind, size, bits]) => {
    const contents = new Map<string, Buffer>([
      ['EFI/BOOT/BOOTX64.EFI', randomBytes(size)],
      ['empty', Buffer.alloc(0)],
      ...MANY.map((path) => [path, Buffer.from(path)] as const),
      ['Last-1.Cfg', Buffer.from('last')],
    ]);
    const files = [...contents].map(([path, data]) => ({ path, ...inMemory(data) }));
    const made = await write(files, kind);
    expect(made.bits).toBe(bits);
    expect(run('fsck.fat', '-n', '-v', made.path)).toMatch(
      new RegExp(`${bits} bit entries[^]*: ${contents.size + 4} files, `),
    );
    for (const [path, data] of contents)
      if (!path.startsWith('many/') || path.endsWith('7.txt'))
        expect(
          execFileSync('mtype', ['-i', made.path, `::${path}`], { maxBuffer: 2 ** 27 }).equals(
            data,
          ),
          path,
        ).toBe(true);
    const listing = run('mdir', '-i', made.path, '::');
    expect(listing).toContain(' is LABEL');
    expect(listing).toContain('Volume Serial Number is 1234-ABCD');
    expect(listing).toMatch(/^empty +0 2017-04-18 +16:30/m);
  },
);

it('rejects a file over 4 GiB', () => {
  const huge = { path: 'initrd.img', size: 2 ** 32, bytes: () => [] };
  expect(() => planFat([huge], { kind: 'fat32', id: 0, label: '' })).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED' }),
  );
});

it('halts without a boot loader', async () => {
  const { path } = await write([], 'smallest');
  const sector = readFileSync(path).subarray(0, 512);
  expect(sector.subarray(0x5a, 0x5d)).toEqual(Buffer.of(0xf4, 0xeb, 0xfd));
});
