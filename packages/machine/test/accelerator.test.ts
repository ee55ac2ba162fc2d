import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { probeAccelerator, runs64BitGuest } from '../src/accelerator.ts';

const qemu = 'qemu-system-x86_64';

test('the probe guest gets to its end where the accelerator works', async () => {
  expect(await runs64BitGuest(qemu, ['-accel', 'tcg'], 60_000)).toBe(true);
});

test('a guest that gets nowhere is given up after the time', async () => {
  // A processor that knows no 64-bit mode faults at the switch and never comes back.
  expect(await runs64BitGuest(qemu, ['-accel', 'tcg', '-cpu', 'qemu32', '-S'], 500)).toBe(false);
});

test('without the device it is tcg, and says why', async () => {
  expect(await probeAccelerator({ qemu, device: '/nonexistent/kvm' })).toEqual({
    name: 'tcg',
    reason: 'there is no /nonexistent/kvm',
  });
});

test('the answer is remembered for this boot, and only a sound memory is believed', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-accel-'));
  const cacheFile = join(dir.path, 'sub/kvm.json');
  const options = { qemu: '/nonexistent/qemu', device: '/dev/null', cacheFile };
  expect(await probeAccelerator(options)).toEqual({
    name: 'tcg',
    reason: '/dev/null does not run a guest',
  });
  const saved = await readFile(cacheFile, 'utf8');
  await writeFile(cacheFile, saved.replace('"tcg"', '"kvm"'));
  expect((await probeAccelerator(options)).name).toBe('kvm');
  for (const broken of ['', '{', '[]', saved.replace('"key":"', '"key":"other')]) {
    await writeFile(cacheFile, broken);
    expect((await probeAccelerator(options)).name).toBe('tcg');
  }
});
