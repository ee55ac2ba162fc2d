/** Reads the fields of a tar header block, including the variants that tar programs write. */
import { BLOCK, checksums, type Field, field, GNU_MAGIC, USTAR_MAGIC } from './tar-header.ts';

/**
 * Parses a number: octal, or GNU's base-256, a two's complement number whose first bit is a flag.
 * The result is not a safe integer if the field is malformed or too large.
 */
export function fieldNumber(block: Buffer, { start, length }: Field): number {
  const first = block[start] ?? 0;
  let value = 0;
  if ((first & 0x80) === 0) {
    const digits = block
      .toString('latin1', start, start + length)
      .replaceAll(/^[ \0]+|[ \0]+$/g, '');
    const number = untilNul(digits);
    value = number === '' ? 0 : /^[0-7]+$/.test(number) ? Number.parseInt(number, 8) : NaN;
  } else {
    value = (first & 0x40) === 0 ? first & 0x3f : (first & 0x3f) - 0x40;
    for (let index = start + 1; index < start + length; index += 1)
      value = value * 256 + (block[index] ?? 0);
  }
  return value === 0 ? 0 : value;
}

/** Returns the text of a field up to the first NUL, byte for byte. */
export function fieldText(block: Buffer, { start, length }: Field): string {
  return untilNul(block.toString('latin1', start, start + length));
}

/** Returns the name of an entry, including its prefix if present. */
export function headerName(block: Buffer): string {
  const name = fieldText(block, field.name);
  const isGnu = block.toString('latin1', field.magic.start, field.magic.start + 8) === GNU_MAGIC;
  // Go before 1.8 wrote a prefix over GNU's two times.
  if (isGnu && isNumber(block, GNU_ATIME) && isNumber(block, GNU_CTIME)) return name;
  const magic = block.toString('latin1', field.magic.start, field.magic.start + 6);
  if (!isGnu && magic !== USTAR_MAGIC.slice(0, 6)) return name;
  // Schily's star has times after a shorter prefix, and marks the block.
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = fieldText(block, { start: field.prefix.start, length: isStar ? 131 : 155 });
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Returns the text before the first NUL. */
export function untilNul(value: string): string {
  const end = value.indexOf('\0');
  return end === -1 ? value : value.slice(0, end);
}

/** Reports whether a block is zero. Two of them end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZERO);
}

/** Reports whether the checksum of a header block is correct. */
export function hasValidChecksum(block: Buffer): boolean {
  const sum = fieldNumber(block, field.checksum);
  const { unsigned, signed } = checksums(block);
  return sum === unsigned || sum === signed;
}

/** Reports whether a block is a tar header: not zero, with a correct checksum. */
export function isTarHeader(block: Buffer): boolean {
  return block.length === BLOCK && !isZeroBlock(block) && hasValidChecksum(block);
}

const ZERO = Buffer.alloc(BLOCK);

const GNU_ATIME: Field = { start: 345, length: 12 };
const GNU_CTIME: Field = { start: 357, length: 12 };

function isNumber(block: Buffer, where: Field): boolean {
  return ((block[where.start] ?? 0) & 0x80) !== 0 || /^ *[0-7]* *$/.test(fieldText(block, where));
}
