import type { Wire } from './wire.ts';
import { WireError } from './wire-error.ts';

/** The first part of an answer (RFC 9112, 4 and 5). */
export interface Head {
  readonly status: number;
  readonly isOld: boolean;
  readonly headers: ReadonlyMap<string, string>;
}

const MAX_HEAD = 64 * 1024;
const END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What a value may hold: neither an end of a line nor another control character. */
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Reads a head, and no further. Those that only say that the answer takes a while are passed over. */
export async function readHead(wire: Wire): Promise<Head> {
  for (;;) {
    const head = parseHead(await readTo(wire, END));
    if (head.status === 101) throw broken('the server speaks something else than HTTP');
    if (head.status >= 200) return head;
  }
}

/** What comes before a mark; the mark itself is passed over. */
export async function readTo(wire: Wire, mark: Buffer): Promise<string> {
  let seen: Buffer = Buffer.of();
  for (;;) {
    const part = await wire.read();
    if (part === undefined) {
      if (seen.length > 0) throw broken('the answer ends in its middle');
      throw new WireError('HTTP_CLOSED', 'the server closed the connection');
    }
    // Most often it is all in one part.
    const all =
      seen.length === 0
        ? Buffer.from(part.buffer, part.byteOffset, part.length)
        : Buffer.concat([seen, part]);
    const end = all.indexOf(mark);
    if (end > MAX_HEAD || (end < 0 && all.length > MAX_HEAD))
      throw broken('the head of the answer has no end');
    if (end >= 0) {
      const text = all.toString('utf8', 0, end);
      wire.unread(all.subarray(end + mark.length));
      return text;
    }
    seen = Buffer.from(all);
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) throw broken('the answer is not HTTP');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = FIELD.exec(line) ?? [];
    if (name === '' || /[\0\r\n]/.test(value)) throw broken('the head of the answer is not HTTP');
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), isOld: minor === '0', headers };
}

/** A request up to its body. @throws Error for a header that would be another one on the wire; it is not shown */
export function formatHead(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
): string {
  let text = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME.test(name) || !VALUE.test(value))
      throw new WireError('HTTP_BROKEN', `the header ${JSON.stringify(name)} cannot be sent`);
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}

function broken(message: string): WireError {
  return new WireError('HTTP_BROKEN', message);
}
