import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSource } from '../src/index.ts';

test('reads a file under the name that messages show', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-source-'));
  writeFileSync(join(dir.path, 'file'), 'text\n');
  expect(readSource(join(dir.path, 'file'), 'pkg/file')).toEqual({
    path: 'pkg/file',
    text: 'text\n',
  });
});

test('rejects a named pipe at once, a socket and a device', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-source-'));
  const pipe = join(dir.path, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(() => readSource(pipe, 'pkg/pipe')).toThrow('pkg/pipe is a named pipe');
  expect(() => readSource('/dev/zero', 'pkg/zero')).toThrow('pkg/zero is a device');
  const socket = join(dir.path, 'socket');
  await using server = createServer().listen(socket);
  await once(server, 'listening');
  expect(() => readSource(socket, 'pkg/socket')).toThrow('pkg/socket is a socket');
});

test('leaves the error of Node for what cannot be read', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-source-'));
  mkdirSync(join(dir.path, 'directory'));
  const read = (name: string) => () => readSource(join(dir.path, name), name);
  expect(read('none')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(read('directory')).toThrow(expect.objectContaining({ code: 'EISDIR' }));
});
