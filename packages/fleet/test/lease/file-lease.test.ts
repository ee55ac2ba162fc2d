import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileLease } from '../../src/lease/file-lease.ts';

const signal = new AbortController().signal;

test('grants the lease to one controller at a time, each with a larger generation', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-lease-'));
  const path = join(dir.path, 'leases/shop');
  const [one, other] = [fileLease(path), fileLease(path)];
  expect(await one.current(signal)).toBe(0);
  const first = await one.hold(
    async ({ generation }) => {
      await expect(other.hold(async () => 'both', { signal })).rejects.toMatchObject({
        code: 'LEASE_HELD',
      });
      expect(await other.current(signal)).toBe(generation);
      return generation;
    },
    { signal },
  );
  const second = await other.hold(async ({ generation }) => generation, { signal });
  expect(second).toBeGreaterThan(first);
});

test('increases the generation although the clock or the file was set back', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-lease-'));
  const path = join(dir.path, 'shop');
  await writeFile(`${path}.generation`, '99999999999\n');
  const lease = fileLease(path);
  expect(await lease.hold(async ({ generation }) => generation, { signal })).toBe(100_000_000_000);
  await writeFile(`${path}.generation`, 'damaged');
  const generation = await lease.hold(async (held) => held.generation, { signal });
  expect(generation).toBeGreaterThan(1_700_000_000);
});

test('passes on what the controller throws, and frees the lease', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-lease-'));
  const lease = fileLease(join(dir.path, 'shop'));
  const fails = lease.hold(
    async () => {
      throw new Error('broken');
    },
    { signal },
  );
  await expect(fails).rejects.toThrow('broken');
  expect(await lease.hold(async () => 'free', { signal })).toBe('free');
});
