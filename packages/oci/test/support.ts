import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LktError, type LktErrorCode } from '@lkt/core';
import { expect } from 'vitest';
import {
  type Descriptor,
  type Entry,
  type EntryWithContent,
  openStore,
  readTar,
  SOURCE_DATE_EPOCH,
  type Store,
} from '../src/index.ts';

export async function* chunks(data: Uint8Array | string, size = 1000): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(data);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}

/** Returns an entry with plain defaults. */
export function entry(path: string, more: Partial<EntryWithContent> = {}): EntryWithContent {
  const type = more.type ?? 'file';
  const mode = type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644;
  return { path, type, mode, uid: 0, gid: 0, mtime: SOURCE_DATE_EPOCH, size: 0, ...more };
}

export function file(
  path: string,
  content: Uint8Array | string,
  more: Partial<Entry> = {},
): EntryWithContent {
  const bytes = Buffer.from(content);
  if (bytes.length === 0) return entry(path, more);
  return entry(path, { ...more, size: bytes.length, content: chunks(bytes) });
}

export const directory = (path: string, more: Partial<Entry> = {}): EntryWithContent =>
  entry(path, { ...more, type: 'directory' });

export const symlink = (path: string, link: string): EntryWithContent =>
  entry(path, { type: 'symlink', link });

export const hardlink = (path: string, link: string): EntryWithContent =>
  entry(path, { type: 'hardlink', link });

/** Lists the entries of an archive with their contents. */
export async function listTar(
  source: AsyncIterable<Uint8Array>,
  limits?: Parameters<typeof readTar>[1],
): Promise<(Omit<EntryWithContent, 'content'> & { data?: Buffer })[]> {
  const result = [];
  for await (const { content, ...rest } of readTar(source, limits))
    result.push(content === undefined ? rest : { ...rest, data: await collect(content) });
  return result;
}

export async function tempDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'lkt-oci-'));
  return {
    path,
    [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true }),
  };
}

/** Passes a new store to `use`, and removes it afterwards. */
export async function withStore(use: (store: Store) => Promise<void>): Promise<void> {
  await using temp = await tempDir();
  await use(await openStore(join(temp.path, 'store')));
}

/** Stores a value as JSON. */
export async function putJson(
  store: Store,
  mediaType: string,
  value: unknown,
): Promise<Descriptor> {
  return { mediaType, ...(await store.writeBytes(Buffer.from(JSON.stringify(value)))) };
}

/** Returns the LktError that is thrown. */
export async function thrown(work: Promise<unknown>): Promise<LktError> {
  const error: unknown = await work.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  );
  if (error instanceof LktError) return error;
  throw error;
}

/** Returns the LktError that is thrown, after checking its code. */
export async function failure(code: LktErrorCode, work: Promise<unknown>): Promise<LktError> {
  const error = await thrown(work);
  expect(error.code).toBe(code);
  return error;
}

/** Runs a program that must succeed. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; input?: Uint8Array | string; env?: Record<string, string> } = {},
): Buffer {
  const { stdout, stderr, status, error } = spawnSync(program, args, {
    ...options,
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', ...options.env },
    maxBuffer: 2 ** 28,
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr.toString()}`);
  return stdout;
}

/** Returns a JavaScript program for another process, with the package as `oci`. */
function script(body: string): string {
  const module = fileURLToPath(new URL('../src/index.ts', import.meta.url));
  return `const oci = await import(${JSON.stringify(module)});\n${body}`;
}

/** Runs a script in another process, wrapped by `wrap`. */
export async function runScript(
  body: string,
  {
    wrap = (command) => command,
    onSpawn = () => undefined,
  }: {
    wrap?: (command: string[]) => string[];
    onSpawn?: (child: ReturnType<typeof spawn>) => void;
  } = {},
): Promise<{ status: number | null; signal: string | null; stdout: string; stderr: string }> {
  const command = [process.execPath, '--no-warnings', '--input-type=module', '-e', script(body)];
  const [program = '', ...args] = wrap(command);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onSpawn(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** Returns the token of a process that has ended. */
export async function deadToken(): Promise<string> {
  const { stdout } = await runScript(
    `const { symlink, readlink, mkdtemp } = await import('node:fs/promises');
     const dir = await mkdtemp('/tmp/lkt-oci-dead-');
     const store = await oci.openStore(dir);
     await store.withLock('x', async () => console.log(await readlink(dir + '/locks/x.lock')));
     await (await import('node:fs/promises')).rm(dir, { recursive: true });`,
  );
  return stdout.trim();
}
