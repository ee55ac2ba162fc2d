import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { LktError } from '@lkt/core';
import { arHeader } from './ar.ts';
import { pipeThrough, programExists } from '../process.ts';

/**
 * A decoder for xz: a program of the machine, or a library that is three times slower. All produce
 * the same bytes.
 */
export type XzDecoder = 'xz' | 'dpkg-deb' | 'wasm';

let found: Promise<XzDecoder> | undefined;

/** Returns the fastest decoder on this machine. Every Debian has `dpkg-deb`; not all have `xz`. */
export function findXzDecoder(): Promise<XzDecoder> {
  found ??= (async (): Promise<XzDecoder> => {
    if (await programExists('xz', ['--version'])) return 'xz';
    return (await programExists('dpkg-deb', ['--version'])) ? 'dpkg-deb' : 'wasm';
  })();
  return found;
}

/**
 * Unpacks an xz stream of `size` bytes.
 * @throws ARCHIVE_INVALID; TOOL_MISSING if the decoder cannot be started
 */
export function unxz(
  source: AsyncIterable<Uint8Array>,
  size: number,
  what: string,
  decoder: XzDecoder,
): AsyncGenerator<Uint8Array> {
  switch (decoder) {
    case 'xz':
      return pipeThrough('xz', ['--decompress', '--stdout', '--quiet'], source, what);
    case 'dpkg-deb':
      return pipeThrough('dpkg-deb', ['--fsys-tarfile', '-'], asDeb(source, size), what);
    case 'wasm':
    default:
      return wasm(source, what);
  }
}

/** Wraps the stream as the data member of a .deb (deb(5)), the only input that dpkg-deb unpacks. */
async function* asDeb(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  const version = Buffer.from('2.0\n');
  yield Buffer.from('!<arch>\n');
  yield Buffer.concat([arHeader('debian-binary', version.length), version]);
  yield arHeader('control.tar', 0);
  yield arHeader('data.tar.xz', size);
  yield* source;
  if (size % 2 === 1) yield Buffer.from('\n');
}

async function* wasm(source: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  const { default: library } = await import('xz-decompress');
  let failure: unknown;
  const readable = Readable.from(source).on('error', (error) => {
    failure = error;
  });
  const input = Readable.toWeb(readable) as ReadableStream<Uint8Array>;
  try {
    yield* new library.XzReadableStream(input);
  } catch (error) {
    if (failure instanceof Error) throw failure;
    throw new LktError('ARCHIVE_INVALID', `${what} cannot be unpacked`, { cause: error });
  }
}
