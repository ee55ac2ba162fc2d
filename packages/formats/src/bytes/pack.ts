/** A value of a record: an integer, or bytes; a text is in latin1. */
type Value = number | bigint | string | Uint8Array;

type Kind = 'B' | 'H' | 'h' | 'I' | 'Q' | 'q' | 'W' | 'D' | 's' | 'x';

const SIZES: Readonly<Record<Kind, number>> = {
  B: 1,
  H: 2,
  h: 2,
  I: 4,
  Q: 8,
  q: 8,
  W: 4,
  D: 8,
  s: 1,
  x: 1,
};

/**
 * Returns a function that writes a record of consecutive fields, like `struct.pack` of Python. It
 * throws a RangeError for an integer that its field cannot hold.
 * @param format `<` for little-endian or `>` for big-endian, then the fields: `B`, `H`, `I`, `Q`
 * for unsigned and `h`, `q` for signed integers of 1, 2, 4 and 8 bytes; `W` and `D` for 16 and 32
 * bits in both orders, as in ECMA-119; `8s` for 8 bytes, filled with zeros; `8x` for 8 zeros
 * @example
 * ```ts
 * const header = packer('<4sI8xQ');
 * yield header('KDMV', 1, capacity);
 * ```
 */
export function packer(format: string): (...values: readonly Value[]) => Buffer {
  const isBig = format.startsWith('>');
  const fields: Field[] = [];
  let end = 0;
  for (const [, count, letter = ''] of format.matchAll(/(\d*)([BHhIQqWDsx])/g)) {
    const kind = letter as Kind;
    const size = SIZES[kind] * (count === undefined || count === '' ? 1 : Number(count));
    if (kind !== 'x') fields.push({ kind, at: end, size, isBig });
    end += size;
  }
  return (...values) => {
    if (values.length !== fields.length) throw new Error(`${format} has ${fields.length} values`);
    const record = Buffer.alloc(end);
    fields.forEach((field, index) => write(record, field, values[index] ?? 0));
    return record;
  };
}

/** Returns any number of 32-bit integers, little-endian. */
export function uint32s(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index);
  return bytes;
}

interface Field {
  readonly kind: Kind;
  readonly at: number;
  readonly size: number;
  readonly isBig: boolean;
}

function write(record: Buffer, field: Field, value: Value): void {
  const { kind, at, size, isBig } = field;
  if (typeof value === 'string') record.write(value, at, size, 'latin1');
  else if (typeof value === 'object') record.set(value.subarray(0, size), at);
  else if (kind === 'q') record[isBig ? 'writeBigInt64BE' : 'writeBigInt64LE'](BigInt(value), at);
  else if (kind === 'Q') record[isBig ? 'writeBigUInt64BE' : 'writeBigUInt64LE'](BigInt(value), at);
  else if (kind === 'h') record[isBig ? 'writeInt16BE' : 'writeInt16LE'](Number(value), at);
  else if (kind === 'W' || kind === 'D') {
    record.writeUIntLE(Number(value), at, size / 2);
    record.writeUIntBE(Number(value), at + size / 2, size / 2);
  } else record[isBig ? 'writeUIntBE' : 'writeUIntLE'](Number(value), at, size);
}
