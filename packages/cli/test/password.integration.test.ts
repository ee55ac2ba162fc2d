import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSigningKey } from '@lkt/sign';
import { expect, test } from 'vitest';
import { type } from './typist.ts';

test('asks for a password twice, without showing it', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-password-'));
  // Corrects a typing mistake.
  const answers = [String.raw`Zwx\x7fonig\n`, String.raw`Zwonig\n`];
  const { status, seen } = await type({ cwd: dir.path }, answers, ['key', 'generate']);
  expect(seen).toMatch(/^password for cosign\.key: \r\nrepeat the password: \r\ncosign\.key and /);
  expect(seen).not.toContain('Zw');
  expect(status).toBe(0);
  await readSigningKey(join(dir.path, 'cosign.key'), { password: 'Zwonig' });
});

test('writes nothing after different passwords, or after Ctrl-C', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-password-'));
  const other = await type(
    { cwd: dir.path },
    [String.raw`one\n`, String.raw`two\n`],
    ['key', 'generate'],
  );
  expect(other.seen).toContain('error: the passwords differ');
  expect(other.status).toBe(2);
  const stopped = await type({ cwd: dir.path }, [String.raw`one\x03`], ['key', 'generate']);
  expect(stopped.seen).toContain('error: stopped at the prompt');
  expect(stopped.status).toBe(130);
  expect(await readdir(dir.path)).toEqual([]);
});
