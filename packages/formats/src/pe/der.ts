/** Distinguished Encoding Rules of ASN.1 (X.690), as far as a signature needs them. */

export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length), bytes, content]);
}

export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return der(0x30, ...contents);
}

export function set(...contents: readonly Uint8Array[]): Buffer {
  return der(0x31, ...contents);
}

/** `[number] EXPLICIT`, or IMPLICIT of something that is made of others. */
export function tagged(number: number, ...contents: readonly Uint8Array[]): Buffer {
  return der(0xa0 | number, ...contents);
}

export function octets(data: Uint8Array): Buffer {
  return der(0x04, data);
}

export function smallInteger(value: number): Buffer {
  return der(0x02, Buffer.of(value));
}

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

export const NULL: Buffer = der(0x05);

/** What is at the beginning of `data`: its tag, its content, itself, and what comes after it. */
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
