import { spawn } from 'node:child_process';
import { createReadStream, openSync, closeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { isErrno, LktError } from '@lkt/core';
import { gunzip, isTarHeader, unzstd } from '@lkt/oci';
import { findOnPath } from '../system/tools.ts';

/** Maximum unpacked size of an archive. */
const MAX_BYTES = 16 * 2 ** 30;

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Maximum bytes of output; default 16 GiB. */
  readonly maxBytes?: number;
}

type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const HEADER = 512;

/** Magic numbers, in hexadecimal. */
const MAGIC: readonly (readonly [Compression, RegExp])[] = [
  ['bzip2', /^425a68/],
  // RFC 1952, 2.3.1: deflate is the only method.
  ['gzip', /^1f8b08/],
  ['xz', /^fd377a585a00/],
  // RFC 8878, 3.1.1 and 3.1.2: a frame or a skippable frame.
  ['zstd', /^(?:28b52ffd|5[0-9a-f]2a4d18)/],
];

/**
 * Reports whether ADD unpacks a file. Its content decides, not its name: a tar archive with at
 * least one entry, plain or compressed with gzip, bzip2, xz or zstd.
 * @throws LktError TOOL_MISSING for a bzip2 or xz file without the program
 */
export async function isArchive(path: string, options: ReadOptions = {}): Promise<boolean> {
  const compression = await compressionOf(path);
  if (compression === undefined) return false;
  let header: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of unpackedStream(path, compression, options)) {
      header = Buffer.concat([header, chunk]).subarray(0, HEADER);
      if (header.length === HEADER) break;
    }
  } catch (error) {
    if (error instanceof LktError && error.code === 'ARCHIVE_INVALID') return false;
    throw error;
  }
  return isTarHeader(header);
}

/**
 * Streams the tar archive in a file that `isArchive` accepts.
 * @throws LktError ARCHIVE_INVALID for corrupt data or more than `maxBytes`; TOOL_MISSING
 */
export async function* readArchive(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  const compression = await compressionOf(path);
  if (compression !== undefined) yield* unpackedStream(path, compression, options);
}

/** Returns undefined for a file too short for any archive. */
async function compressionOf(path: string): Promise<Compression | undefined> {
  const file = await open(path);
  try {
    const start = Buffer.alloc(HEADER);
    const { bytesRead } = await file.read(start, 0, HEADER, 0);
    const magic = start.toString('hex', 0, Math.min(bytesRead, 6));
    const found = MAGIC.find(([, pattern]) => pattern.test(magic));
    return found?.[0] ?? (bytesRead === HEADER ? 'none' : undefined);
  } finally {
    await file.close();
  }
}

function unpackedStream(
  path: string,
  compression: Compression,
  { signal, maxBytes = MAX_BYTES }: ReadOptions,
): AsyncIterable<Uint8Array> {
  const file = (): AsyncIterable<Uint8Array> => createReadStream(path, { signal });
  switch (compression) {
    case 'none':
      return file();
    case 'gzip':
      return gunzip(file(), { maxBytes });
    case 'zstd':
      return unzstd(file(), { maxBytes });
    case 'bzip2':
      return fromProgram(path, ['bzip2', '-dc'], 'bzip2', { signal, maxBytes });
    case 'xz':
      // Enough memory for the largest preset of xz(1).
      return fromProgram(path, ['xz', '-dc', '-T1', '--memlimit=256MiB'], 'xz-utils', {
        signal,
        maxBytes,
      });
    default:
      return compression satisfies never;
  }
}

/**
 * Streams the output of a program that reads the file. The program ends when the consumer stops.
 */
async function* fromProgram(
  path: string,
  [name = '', ...flags]: readonly string[],
  debian: string,
  { signal, maxBytes }: { signal: AbortSignal | undefined; maxBytes: number },
): AsyncGenerator<Uint8Array> {
  const program = findOnPath(name);
  if (program === undefined) {
    throw new LktError('TOOL_MISSING', `${name} is not installed, and ADD needs it for ${path}`, {
      fix: `sudo apt-get install ${debian}`,
    });
  }
  const input = openSync(path, 'r');
  const child = spawn(program, flags, {
    stdio: [input, 'pipe', 'pipe'],
    env: {},
    cwd: '/',
    signal,
  });
  closeSync(input);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-1000);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code));
  });
  // It is awaited below; until then it must not count as unhandled.
  ended.catch(() => undefined);
  let size = 0;
  try {
    for await (const chunk of child.stdout as Readable) {
      size += (chunk as Buffer).length;
      if (size > maxBytes) {
        throw new LktError(
          'ARCHIVE_INVALID',
          `the ${name} data unpacks to more than ${maxBytes} bytes`,
        );
      }
      yield chunk as Buffer;
    }
    const status = await ended;
    signal?.throwIfAborted();
    if (status !== 0)
      throw new LktError('ARCHIVE_INVALID', `the ${name} data is broken: ${said.trim()}`);
  } catch (error) {
    if (!isErrno(error, 'ERR_STREAM_PREMATURE_CLOSE')) throw error;
    signal?.throwIfAborted();
    throw new LktError('ARCHIVE_INVALID', `the ${name} data is broken`, { cause: error });
  } finally {
    child.kill('SIGKILL');
    child.stdout?.destroy();
    await ended.catch(() => undefined);
  }
}
