import { expect, test } from 'vitest';
import { runs64BitGuest } from '../src/accelerator.ts';

const qemu = 'qemu-system-x86_64';

test('the probe guest ends if the accelerator works', async () => {
  expect(await runs64BitGuest(qemu, ['-accel', 'tcg'], 60_000)).toBe(true);
});
