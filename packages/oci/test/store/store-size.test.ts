import { writeFileSync } from 'node:fs';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isStoreWellBelow, recordStoreSize } from '../../src/store/store-size.ts';

const GB = 2 ** 30;
const TB = 2 ** 40;

test('isStoreWellBelow trusts a recent measurement far below the limit', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-size-'));
  const file = join(dir.path, 'size.json');
  const change = (changed: object): void =>
    writeFileSync(file, JSON.stringify({ ...size, ...changed }));
  expect(isStoreWellBelow(dir.path, 100 * TB)).toBe(false);
  recordStoreSize(dir.path, GB);
  const size = JSON.parse(await readFile(file, 'utf8')) as { disk: number; time: number };
  expect(isStoreWellBelow(dir.path, 100 * TB)).toBe(true);
  // At or above the limit.
  expect(isStoreWellBelow(dir.path, GB)).toBe(false);
  expect(isStoreWellBelow(dir.path, 1)).toBe(false);
  // The disk has filled since.
  change({ disk: size.disk - 60 * TB });
  expect(isStoreWellBelow(dir.path, 100 * TB)).toBe(false);
  // Too long ago, or in the future because of a wrong clock.
  change({ time: size.time - 3_600_000 });
  expect(isStoreWellBelow(dir.path, 100 * TB)).toBe(false);
  change({ time: size.time + 3_600_000 });
  expect(isStoreWellBelow(dir.path, 100 * TB)).toBe(false);
  for (const text of ['', '7', '{}', '{"bytes":"1"}']) {
    writeFileSync(file, text);
    expect(isStoreWellBelow(dir.path, 100 * TB)).toBe(false);
  }
});
