/** What a client has sent, as far as the servers of these tests look at it. */
export interface Request {
  readonly type: number;
  readonly xid: number;
  readonly ciaddr: string;
  readonly hardware: Buffer;
  readonly options: ReadonlyMap<number, Buffer>;
}

/** An option as it stands in a message; `length` where another one than the value's is told. */
interface Option {
  readonly code: number;
  readonly value: readonly number[];
  readonly length?: number;
}

/** A reply; what is left out is as a decent server has it. */
export interface Reply {
  readonly type: number;
  readonly xid: number;
  readonly hardware: Buffer;
  readonly yiaddr: string;
  readonly options: readonly Option[];
  /** The 64 bytes of the server's name and the 128 of the boot file. */
  readonly fields?: Buffer;
}

const HEADER = 240;
const COOKIE = Buffer.from([99, 130, 83, 99]);

/** Reads a client's message; one of ours is well-formed. */
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

/** Writes a reply, however wrong it is. */
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

/** The bytes of an IPv4 address. */
export function four(address: string): number[] {
  return address.split('.').map(Number);
}

/** The bytes of a time in seconds. */
export function seconds(n: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return [...bytes];
}
