/** Distinguished Encoding Rules of ASN.1 (X.690), as far as signatures need them. */

/** Encodes an element with a tag and the concatenated contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length), bytes, content]);
}

/** Encodes a SEQUENCE. */
export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return der(0x30, ...contents);
}

/** Encodes a SET. The caller sorts its contents. */
export function set(...contents: readonly Uint8Array[]): Buffer {
  return der(0x31, ...contents);
}

/** Encodes `[number] EXPLICIT`, or IMPLICIT of a constructed type. */
export function tagged(number: number, ...contents: readonly Uint8Array[]): Buffer {
  return der(0xa0 | number, ...contents);
}

/** Encodes an OCTET STRING. */
export function octets(data: Uint8Array): Buffer {
  return der(0x04, data);
}

/** Encodes an INTEGER from 0 to 127. */
export function smallInteger(value: number): Buffer {
  return der(0x02, Buffer.of(value));
}

/** Encodes an OBJECT IDENTIFIER, given in dotted form. */
export function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((part) => {
    const digits = [part % 128];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift(0x80 | (left % 128));
    return digits;
  });
  return der(0x06, Buffer.from(bytes));
}

/** The encoded NULL. */
export const NULL: Buffer = der(0x05);

/**
 * Reads the first element of `data`: its tag, content, whole encoding, and the data after it.
 * @throws RangeError for truncated data
 */
export function readDer(data: Buffer): {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
  readonly rest: Buffer;
} {
  const tag = data.readUInt8(0);
  const first = data.readUInt8(1);
  const long = first < 0x80 ? 0 : first & 0x7f;
  const length = long === 0 ? first : data.readUIntBE(2, long);
  const start = 2 + long;
  const end = start + length;
  if (end > data.length) throw new RangeError('it ends early');
  return {
    tag,
    content: data.subarray(start, end),
    whole: data.subarray(0, end),
    rest: data.subarray(end),
  };
}
