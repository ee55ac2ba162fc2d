import { LktError, withPrefix } from '@lkt/core';
import { gunzip, unzstd } from '@lkt/oci';
import { findXzDecoder, unxz, type XzDecoder } from './xz.ts';

/** A packed file to unpack. */
export interface Packed {
  readonly content: AsyncIterable<Uint8Array>;
  /** Packed size in bytes. */
  readonly size: number;
  /** Name of the file, for messages. */
  readonly what: string;
  /** Maximum unpacked size in bytes; bounds decompression bombs. */
  readonly limit: number;
  /** Decoder for xz; default: the fastest on this machine. */
  readonly decoder?: XzDecoder;
}

/**
 * Unpacks a file by the ending of its name: `.xz`, `.gz`, `.zst`, or none.
 * @throws ARCHIVE_INVALID, UNSUPPORTED; TOOL_MISSING if the decoder cannot be started
 */
export async function* unpack(ending: string, packed: Packed): AsyncGenerator<Uint8Array> {
  const { what, limit } = packed;
  let size = 0;
  for await (const chunk of decode(ending, packed)) {
    size += chunk.length;
    if (size > limit)
      throw new LktError('ARCHIVE_INVALID', `${what} exceeds ${limit} bytes unpacked`);
    yield chunk;
  }
}

async function* decode(
  ending: string,
  { content, size, what, limit, decoder }: Packed,
): AsyncGenerator<Uint8Array> {
  try {
    if (ending === '') yield* content;
    else if (ending === '.xz') yield* unxz(content, size, what, decoder ?? (await findXzDecoder()));
    else if (ending === '.gz') yield* gunzip(content, { maxBytes: limit });
    else if (ending === '.zst') yield* unzstd(content, { maxBytes: limit });
    else throw new LktError('UNSUPPORTED', `${what} has an unsupported compression`);
  } catch (error) {
    const isCorrupt = error instanceof LktError && error.code === 'ARCHIVE_INVALID';
    throw isCorrupt && !error.message.startsWith(what) ? withPrefix(error, `${what}: `) : error;
  }
}
