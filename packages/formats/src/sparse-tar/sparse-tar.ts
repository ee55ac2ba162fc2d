// https://www.gnu.org/software/tar/manual/html_node/Old-GNU-Format.html
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { type Disk, roundUp, type Run, runBytes, runsOf } from '../bytes/disk.ts';
import { zeros } from '../bytes/headed-bytes.ts';

const BLOCK_SIZE = 512;
/** GNU tar pads archives to a multiple of this. */
const RECORD_SIZE = 20 * BLOCK_SIZE;
const IN_HEADER = 4;
const IN_EXTENSION = 21;
/** Size of a number: octal digits and a NUL. */
const NUMBER_SIZE = 12;

/**
 * Streams a tar archive with a disk as its only file, in GNU tar's old sparse format (tar's manual,
 * "Old GNU Format"), as Google Cloud requires. It contains no data for zeros.
 */
export async function* sparseTar(disk: Disk, name: string): AsyncGenerator<Uint8Array> {
  const runs = runsOf(disk, BLOCK_SIZE);
  // An empty extent at the end marks a trailing hole.
  const map: readonly Pick<Run, 'offset' | 'size'>[] = [...runs, { offset: disk.size, size: 0 }];
  const size = runs.reduce((sum, run) => sum + run.size, 0);
  const header = Buffer.alloc(BLOCK_SIZE);
  header.write(name, 0, 100, 'latin1');
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  number(header, 124, size);
  number(header, 136, SOURCE_DATE_EPOCH);
  header.write('S', 156, 'latin1');
  header.write('ustar  \0', 257, 'latin1');
  header.write('root', 265, 'latin1');
  header.write('root', 297, 'latin1');
  writeMap(header, 386, map.slice(0, IN_HEADER));
  header.writeUInt8(map.length > IN_HEADER ? 1 : 0, 482);
  number(header, 483, disk.size);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  yield header;
  let written = BLOCK_SIZE;
  for (let at = IN_HEADER; at < map.length; at += IN_EXTENSION) {
    const extension = Buffer.alloc(BLOCK_SIZE);
    writeMap(extension, 0, map.slice(at, at + IN_EXTENSION));
    extension.writeUInt8(map.length > at + IN_EXTENSION ? 1 : 0, 504);
    yield extension;
    written += BLOCK_SIZE;
  }
  for (const run of runs) yield* runBytes(run);
  written += size;
  yield* zeros(roundUp(written + 2 * BLOCK_SIZE, RECORD_SIZE) - written);
}

function writeMap(block: Buffer, at: number, map: readonly Pick<Run, 'offset' | 'size'>[]): void {
  for (const [index, { offset, size }] of map.entries()) {
    number(block, at + 24 * index, offset);
    number(block, at + 24 * index + 12, size);
  }
}

/** Writes a number: octal if it has at most eleven digits, otherwise base-256, as GNU tar does. */
function number(block: Buffer, at: number, value: number): void {
  const octal = value.toString(8);
  if (octal.length < NUMBER_SIZE) {
    block.write(`${octal.padStart(NUMBER_SIZE - 1, '0')}\0`, at, 'latin1');
  } else {
    block.writeUInt8(0x80, at);
    block.writeBigUInt64BE(BigInt(value), at + NUMBER_SIZE - 8);
  }
}
