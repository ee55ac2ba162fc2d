import { writeFileSync } from 'node:fs';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isFarBelow, rememberSize } from '../src/last-size.ts';

const GB = 2 ** 30;
const TB = 2 ** 40;

test('what was far below not long ago is not looked through again', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-size-'));
  const file = join(dir.path, 'size.json');
  const change = (changed: object): void =>
    writeFileSync(file, JSON.stringify({ ...size, ...changed }));
  expect(isFarBelow(dir.path, 100 * TB)).toBe(false);
  rememberSize(dir.path, GB);
  const size = JSON.parse(await readFile(file, 'utf8')) as { disk: number; time: number };
  expect(isFarBelow(dir.path, 100 * TB)).toBe(true);
  // At the limit, or above it.
  expect(isFarBelow(dir.path, GB)).toBe(false);
  expect(isFarBelow(dir.path, 1)).toBe(false);
  // The disk has filled since.
  change({ disk: size.disk - 60 * TB });
  expect(isFarBelow(dir.path, 100 * TB)).toBe(false);
  // Long ago, or by a clock that was wrong.
  change({ time: size.time - 3_600_000 });
  expect(isFarBelow(dir.path, 100 * TB)).toBe(false);
  change({ time: size.time + 3_600_000 });
  expect(isFarBelow(dir.path, 100 * TB)).toBe(false);
  for (const text of ['', '7', '{}', '{"bytes":"1"}']) {
    writeFileSync(file, text);
    expect(isFarBelow(dir.path, 100 * TB)).toBe(false);
  }
});
