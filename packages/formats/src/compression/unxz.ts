// https://tukaani.org/xz/xz-file-format.txt
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { crc32 } from 'node:zlib';
import { isErrno, LktError } from '@lkt/core';
import type { ByteReader } from '@lkt/oci';

/** Of the program, for hostile dictionaries; the largest preset needs 65 MiB. */
const MEMORY = '256MiB';
const FOOTER = 12;
const CHUNK = 64 * 1024;

/**
 * A stream of xz, of which the first four bytes were read, in a source that goes on with something else.
 * @throws LktError ARCHIVE_INVALID; TOOL_MISSING
 */
export async function* unxz(
  reader: ByteReader,
  magic: Buffer,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const options = ['--decompress', '--stdout', '--single-stream', `--memlimit=${MEMORY}`];
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
      if (total > maxBytes) throw broken(`it unpacks to more than ${maxBytes} bytes`);
      yield chunk as Buffer;
    }
    await feeding;
    await ended;
    if (failure !== undefined && !isErrno(failure, 'EPIPE')) throw failure;
    if (child.exitCode === 127)
      throw new LktError('TOOL_MISSING', 'xz is not installed, which unpacks an initrd by xz', {
        fix: 'apt install xz-utils',
      });
    if (child.exitCode !== 0) throw broken('xz does not take it');
  } finally {
    child.kill();
    child.stdin.destroy();
    await feeding;
  }
}

/**
 * The bytes of the stream (xz-file-format.txt 2.1.2): it is made of words of four bytes, and at its end is a footer, which
 * has a sum of itself.
 */
async function* streamOf(reader: ByteReader, magic: Buffer): AsyncGenerator<Uint8Array> {
  let before = magic;
  let done = magic.length;
  yield magic;
  for (;;) {
    const piece = await reader.take(CHUNK);
    if (piece === undefined) throw broken('it is cut off');
    const both = Buffer.concat([before, piece]);
    const end = endOf(both, done - before.length);
    if (end !== undefined) {
      reader.unread(Buffer.from(both.subarray(end)));
      yield both.subarray(before.length, end);
      return;
    }
    yield both.subarray(before.length);
    done += piece.length;
    before = both.subarray(-(FOOTER - 1));
  }
}

/** Where the footer ends in some bytes of a stream, which begin at `offset`. */
function endOf(bytes: Buffer, offset: number): number | undefined {
  for (let at = bytes.indexOf('YZ'); at !== -1; at = bytes.indexOf('YZ', at + 1)) {
    const end = at + 2;
    if (end < FOOTER || (offset + end) % 4 !== 0) continue;
    if (isFooter(bytes.subarray(end - FOOTER, end))) return end;
  }
  return undefined;
}

function isFooter(footer: Buffer): boolean {
  return footer.readUInt32LE() === crc32(footer.subarray(4, 10));
}

function broken(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the xz data is broken: ${what}`);
}
