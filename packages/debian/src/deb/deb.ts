import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { LktError } from '@lkt/core';
import { readTar } from '@lkt/oci';
import { type ArMember, readAr } from './ar.ts';
import { type Paragraph, parseDeb822 } from './deb822.ts';
import { findXzDecoder, unxz, type XzDecoder } from './xz.ts';

/** Options to read a .deb. */
export interface DebOptions {
  /** Name of the package, for messages. */
  readonly what: string;
  /** Decoder for xz; default: the fastest on this machine. */
  readonly decoder?: XzDecoder;
}

/** Bytes; far above any package of the archive. Bounds decompression bombs. */
const MAX_DATA_BYTES = 8 * 1024 ** 3;
const MAX_CONTROL_BYTES = 16 * 1024 ** 2;

/**
 * Returns the unpacked `data.tar` of a .deb (deb(5)). Reads the source to its end, so that a source
 * that verifies its digest there has done so; trust nothing before.
 * @throws ARCHIVE_INVALID, UNSUPPORTED
 */
export async function* debTar(
  source: AsyncIterable<Uint8Array>,
  options: DebOptions,
): AsyncGenerator<Uint8Array> {
  yield* member(source, 'data.tar', MAX_DATA_BYTES, options);
}

/**
 * Returns the control file of a .deb.
 * @throws ARCHIVE_INVALID, UNSUPPORTED
 */
export async function debControl(
  source: AsyncIterable<Uint8Array>,
  options: DebOptions,
): Promise<Paragraph> {
  const tar = member(source, 'control.tar', MAX_CONTROL_BYTES, options);
  let control: Paragraph | undefined;
  for await (const entry of readTar(tar)) {
    if (entry.path !== 'control' || entry.content === undefined) continue;
    const chunks = await Array.fromAsync(entry.content);
    control = parseDeb822(Buffer.concat(chunks).toString(), `${options.what} control file`)[0];
  }
  if (control === undefined) throw invalid(options.what, 'it has no control file');
  return control;
}

async function* member(
  source: AsyncIterable<Uint8Array>,
  wanted: string,
  limit: number,
  options: DebOptions,
): AsyncGenerator<Uint8Array> {
  let index = 0;
  let seen = false;
  for await (const entry of readAr(source)) {
    if (index === 0 && entry.name !== 'debian-binary')
      throw invalid(options.what, 'the first member is not debian-binary');
    index += 1;
    if (entry.name !== wanted && !entry.name.startsWith(`${wanted}.`)) continue;
    if (seen) throw invalid(options.what, `it has more than one ${wanted}`);
    seen = true;
    let size = 0;
    for await (const chunk of unpack(entry, wanted, options)) {
      size += chunk.length;
      if (size > limit)
        throw invalid(options.what, `${entry.name} exceeds ${limit} bytes unpacked`);
      yield chunk;
    }
  }
  if (!seen) throw invalid(options.what, `it has no ${wanted}`);
}

async function* unpack(
  { name, size, content }: ArMember,
  wanted: string,
  { what, decoder }: DebOptions,
): AsyncGenerator<Uint8Array> {
  const whole = `${what} ${name}`;
  switch (name.slice(wanted.length)) {
    case '':
      yield* content;
      return;
    case '.xz':
      yield* unxz(content, { size, what: whole, decoder: decoder ?? (await findXzDecoder()) });
      return;
    case '.gz':
      yield* inflate(content, createGunzip(), whole);
      return;
    case '.zst':
      yield* inflate(content, createZstdDecompress(), whole);
      return;
    default:
      throw new LktError('UNSUPPORTED', `${whole} has an unsupported compression`);
  }
}

async function* inflate(
  source: AsyncIterable<Uint8Array>,
  decoder: NodeJS.ReadWriteStream,
  what: string,
): AsyncGenerator<Uint8Array> {
  let failure: unknown;
  const input = Readable.from(source).on('error', (error) => {
    failure = error;
  });
  // With the callback form the loop below gets the decoder's error, and `failure` has the source's.
  const output = pipeline(input, decoder, () => undefined);
  try {
    for await (const chunk of output) yield chunk as Uint8Array;
  } catch (error) {
    if (failure instanceof Error) throw failure;
    throw new LktError('ARCHIVE_INVALID', `${what} cannot be unpacked`, { cause: error });
  }
}

function invalid(what: string, problem: string): LktError {
  return new LktError('ARCHIVE_INVALID', `${what} is not a Debian package: ${problem}`);
}
