// https://tukaani.org/xz/xz-file-format.txt
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { crc32 } from 'node:zlib';
import { isErrno, LktError } from '@lkt/core';
import type { ByteReader } from '@lkt/oci';

/** Memory limit of xz, against hostile dictionaries; the largest preset needs 65 MiB. */
const MEMORY_LIMIT = '256MiB';
const FOOTER_SIZE = 12;
const CHUNK_SIZE = 64 * 1024;

/**
 * Decompresses an xz stream inside a source that continues after it. Its first four bytes have been
 * read.
 * @throws ARCHIVE_INVALID for invalid data, or for more than `maxBytes` bytes
 * @throws TOOL_MISSING if xz is not installed
 */
export async function* unxz(
  reader: ByteReader,
  magic: Buffer,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const options = ['--decompress', '--stdout', '--single-stream', `--memlimit=${MEMORY_LIMIT}`];
  const child = spawn('env', ['-u', 'XZ_OPT', '-u', 'XZ_DEFAULTS', 'xz', ...options], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close');
  let failure: Error | undefined;
  const feed = async (): Promise<void> => {
    for await (const piece of streamOf(reader, magic))
      if (!child.stdin.write(Buffer.from(piece)))
        await Promise.race([once(child.stdin, 'drain'), ended]);
    child.stdin.end();
  };
  child.stdin.on('error', () => undefined);
  const feeding = feed().catch((error: Error) => {
    failure = error;
    child.stdin.destroy();
  });
  let total = 0;
  try {
    for await (const chunk of child.stdout) {
      total += (chunk as Buffer).length;
      if (total > maxBytes) throw xzError(`it decompresses to more than ${maxBytes} bytes`);
      yield chunk as Buffer;
    }
    await feeding;
    await ended;
    if (failure !== undefined && !isErrno(failure, 'EPIPE')) throw failure;
    if (child.exitCode === 127)
      throw new LktError(
        'TOOL_MISSING',
        'xz is not installed, and the initrd is compressed with it',
        { fix: 'sudo apt-get install xz-utils' },
      );
    if (child.exitCode !== 0) throw xzError('xz rejects it');
  } finally {
    child.kill();
    child.stdin.destroy();
    await feeding;
  }
}

/**
 * Streams the bytes of the xz stream (xz-file-format.txt 2.1.2): multiples of four bytes, and at
 * the end a footer with its own checksum.
 */
async function* streamOf(reader: ByteReader, magic: Buffer): AsyncGenerator<Uint8Array> {
  let before = magic;
  let done = magic.length;
  yield magic;
  for (;;) {
    const piece = await reader.take(CHUNK_SIZE);
    if (piece === undefined) throw xzError('it is truncated');
    const both = Buffer.concat([before, piece]);
    const end = endOf(both, done - before.length);
    if (end !== undefined) {
      reader.unread(Buffer.from(both.subarray(end)));
      yield both.subarray(before.length, end);
      return;
    }
    yield both.subarray(before.length);
    done += piece.length;
    before = both.subarray(-(FOOTER_SIZE - 1));
  }
}

/** Returns the end of the footer in a chunk of the stream that begins at `offset`. */
function endOf(bytes: Buffer, offset: number): number | undefined {
  for (let at = bytes.indexOf('YZ'); at !== -1; at = bytes.indexOf('YZ', at + 1)) {
    const end = at + 2;
    if (end < FOOTER_SIZE || (offset + end) % 4 !== 0) continue;
    if (isFooter(bytes.subarray(end - FOOTER_SIZE, end))) return end;
  }
  return undefined;
}

function isFooter(footer: Buffer): boolean {
  return footer.readUInt32LE() === crc32(footer.subarray(4, 10));
}

function xzError(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the xz data is invalid: ${what}`);
}
