import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findBootMedium } from '../src/boot-medium.ts';

function create(dir: string, name: string, ...options: readonly string[]): string {
  const path = join(dir, name);
  execFileSync('qemu-img', ['create', '-q', ...options, path, '10M'], { cwd: dir });
  return path;
}

/** Overwrites bytes of a file. */
function patch(path: string, at: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

describe('findBootMedium', () => {
  it('accepts disks of qemu-img', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-medium-'));
    for (const [name, format] of [
      ['x.qcow2', 'qcow2'],
      ['x.vmdk', 'vmdk'],
      ['x.vhd', 'vpc'],
    ] as const) {
      const path = create(dir.path, name, '-f', format);
      expect(await findBootMedium(path)).toMatchObject({ path, format });
    }
  });

  it.each([
    ['a backing file', 'x.qcow2', ['-f', 'qcow2', '-b', 'secret', '-F', 'raw']],
    ['a file of its data', 'x.qcow2', ['-f', 'qcow2', '-o', 'data_file=secret']],
    ['a parent', 'x.vmdk', ['-f', 'vmdk', '-b', 'base.vmdk', '-F', 'vmdk']],
    ['a file of its data', 'x.vmdk', ['-f', 'vmdk', '-o', 'subformat=monolithicFlat']],
  ] as const)('rejects a disk with %s (%s, %j)', async (_, name, options) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-medium-'));
    create(dir.path, 'secret', '-f', 'raw');
    create(dir.path, 'base.vmdk', '-f', 'vmdk');
    const path = create(dir.path, name, ...options);
    await expect(findBootMedium(path)).rejects.toThrow(`${path} refers to other files`);
  });

  it('rejects a VMDK with a descriptor in the place of its data', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-medium-'));
    const path = create(dir.path, 'x.vmdk', '-f', 'vmdk');
    patch(path, 12, Buffer.alloc(8));
    patch(
      path,
      512,
      Buffer.from(
        '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n' +
          'createType="monolithicFlat"\nRW 1 FLAT "/etc/shadow" 0\n\0',
      ),
    );
    expect(execFileSync('qemu-img', ['info', path], { encoding: 'utf8' })).toContain('/etc/shadow');
    await expect(findBootMedium(path)).rejects.toThrow(`${path} refers to other files`);
  });
});
