/** A client's message: the fields that these servers read. */
export interface Request {
  readonly type: number;
  readonly xid: number;
  readonly ciaddr: string;
  readonly hardware: Buffer;
  readonly options: ReadonlyMap<number, Buffer>;
}

/** An option of a message. `length` overrides the length byte. */
interface Option {
  readonly code: number;
  readonly value: readonly number[];
  readonly length?: number;
}

/** A server's reply. Missing fields have valid defaults. */
export interface Reply {
  readonly type: number;
  readonly xid: number;
  readonly hardware: Buffer;
  readonly yiaddr: string;
  readonly options: readonly Option[];
  /** 64 bytes of the server's name and 128 of the boot file's. */
  readonly fields?: Buffer;
}

const HEADER = 240;
const COOKIE = Buffer.from([99, 130, 83, 99]);

/** Parses a client's message, which must be well-formed. */
export function parse(data: Buffer): Request {
  const options = new Map<number, Buffer>();
  for (let at = HEADER; at < data.length && data[at] !== 255;) {
    const code = data[at] ?? 0;
    const size = data[at + 1] ?? 0;
    if (code !== 0) options.set(code, data.subarray(at + 2, at + 2 + size));
    at += code === 0 ? 1 : 2 + size;
  }
  return {
    type: options.get(53)?.[0] ?? 0,
    xid: data.readUInt32BE(4),
    ciaddr: [...data.subarray(12, 16)].join('.'),
    hardware: data.subarray(28, 34),
    options,
  };
}

/** Serialises a reply, valid or not. */
export function write(reply: Reply): Buffer {
  const header = Buffer.alloc(HEADER);
  header.set([2, 1, 6, 0]);
  header.writeUInt32BE(reply.xid, 4);
  header.set(four(reply.yiaddr), 16);
  header.set(reply.hardware, 28);
  if (reply.fields !== undefined) header.set(reply.fields.subarray(0, 192), 44);
  header.set(COOKIE, 236);
  const options = [{ code: 53, value: [reply.type] }, ...reply.options].flatMap(
    ({ code, value, length = value.length }: Option) => [code, length, ...value],
  );
  return Buffer.concat([header, Buffer.from([...options, 255])]);
}

/** Returns the bytes of an IPv4 address. */
export function four(address: string): number[] {
  return address.split('.').map(Number);
}

/** Returns a duration in seconds as four bytes. */
export function seconds(n: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return [...bytes];
}
