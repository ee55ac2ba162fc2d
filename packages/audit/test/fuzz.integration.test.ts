import { readFileSync } from 'node:fs';
import { LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
import { auditElf } from '../src/elf/audit-elf.ts';
import { bufferAccess } from '../src/elf/file-access.ts';
import { parseCommandLine, parseKernelConfig, parseSysctls } from '../src/kernel/facts.ts';
import { parseWaivers } from '../src/waivers.ts';

const isRejection = (error: unknown): boolean => error instanceof LktError;

test('auditElf only rejects with an LktError', async () => {
  // Headers are at the start of a program, and its section table at the end.
  const program = readFileSync('/usr/bin/true');
  await fuzz([program], async (input) => auditElf('true', bufferAccess(input)), isRejection);
});

test('parseKernelConfig only rejects with an LktError', async () => {
  const config = '# Linux/x86 6.12.1 Kernel Configuration\nCONFIG_A=y\n# CONFIG_B is not set\n';
  await fuzz(
    [Buffer.from(`${config}CONFIG_C="x"\nCONFIG_D=0x10\n`)],
    (input) => parseKernelConfig('config', input),
    isRejection,
  );
});

test('parseCommandLine never fails', async () => {
  const line = 'console=ttyS0 quiet a="b c" -- x';
  await fuzz(
    [Buffer.from(line)],
    (input) => parseCommandLine(input.toString()),
    () => false,
  );
});

test('parseSysctls only rejects with an LktError', async () => {
  const text = '# comment\nkernel.a = 1\n-net/ipv4/conf/eth0.1/x=2\n; other\n';
  await fuzz([Buffer.from(text)], (input) => parseSysctls('a.conf', input.toString()), isRejection);
});

test('parseWaivers only rejects with an LktError', async () => {
  const text = `waivers:
  - {rules: [bind-now, rpath], files: [/usr/bin/x, '/usr/lib/**'], images: [a/b], reason: old}
`;
  await fuzz(
    [Buffer.from(text)],
    (input) => parseWaivers({ path: '.audit.yml', text: input.toString() }),
    isRejection,
  );
});
