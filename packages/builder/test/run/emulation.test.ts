import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isEmulated } from '../../src/steps/emulation.ts';

/** As the kernel shows the registration of Debian's qemu-user-binfmt. */
const AARCH64 = `enabled
interpreter /usr/bin/qemu-aarch64
flags: POCF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`;

it.each<[name: string, status: string, handler: string, arm64: boolean]>([
  ['a handler', 'enabled\n', AARCH64, true],
  ['one that is not opened beforehand', 'enabled\n', AARCH64.replace('POCF', 'POC'), false],
  ['a disabled one', 'enabled\n', AARCH64.replace('enabled', 'disabled'), false],
  ['one while all are disabled', 'disabled\n', AARCH64, false],
  [
    'one by the end of names',
    'enabled\n',
    'enabled\ninterpreter /x\nflags: F\nextension .x\n',
    false,
  ],
  ['one for 32 bits', 'enabled\n', AARCH64.replace('7f454c4602', '7f454c4601'), false],
])('%s', async (_name, status, handler, arm64) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-binfmt-'));
  await writeFile(join(dir.path, 'status'), status);
  await writeFile(join(dir.path, 'register'), '');
  await writeFile(join(dir.path, 'qemu-aarch64'), handler);
  expect(isEmulated('arm64', dir.path)).toBe(arm64);
  expect(isEmulated('riscv64', dir.path)).toBe(false);
  expect(isEmulated('sparc', dir.path)).toBe(false);
});

it('reports no emulation if the kernel has none', () => {
  expect(isEmulated('arm64', '/nonexistent')).toBe(false);
});
