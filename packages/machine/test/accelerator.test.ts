import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { probeAccelerator, runs64BitGuest } from '../src/accelerator.ts';

const qemu = 'qemu-system-x86_64';

test('a guest that hangs is killed after the time-out', async () => {
  // Paused: the guest never runs.
  expect(await runs64BitGuest(qemu, ['-accel', 'tcg', '-cpu', 'qemu32', '-S'], 500)).toBe(false);
});

test('falls back to tcg without the device, with the reason', async () => {
  expect(await probeAccelerator({ qemu, device: '/nonexistent/kvm' })).toEqual({
    name: 'tcg',
    reason: 'there is no /nonexistent/kvm',
  });
});

test('caches the result for this boot, and ignores a damaged cache', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-accel-'));
  const cacheFile = join(dir.path, 'kvm.json');
  const options = { qemu: '/nonexistent/qemu', device: '/dev/null', cacheFile };
  expect(await probeAccelerator(options)).toEqual({
    name: 'tcg',
    reason: '/dev/null exists but does not run a guest',
  });
  const saved = await readFile(cacheFile, 'utf8');
  await writeFile(cacheFile, saved.replace('"tcg"', '"kvm"'));
  expect((await probeAccelerator(options)).name).toBe('kvm');
  for (const broken of ['', '{', '[]', saved.replace('"key":"', '"key":"other')]) {
    await writeFile(cacheFile, broken);
    expect((await probeAccelerator(options)).name).toBe('tcg');
  }
});

test('creates no directory for its cache', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-accel-'));
  const options = { qemu: '/nonexistent/qemu', device: '/dev/null' };
  for (const cacheFile of [
    join(dir.path, 'sub/kvm.json'),
    '/proc/x/kvm.json',
    '/dev/null/kvm.json',
  ])
    expect((await probeAccelerator({ ...options, cacheFile })).name).toBe('tcg');
  expect(await readdir(dir.path)).toEqual([]);
});
