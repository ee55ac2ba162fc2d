import type { Connection } from './connection.ts';
import { broken, ConnectionError } from './connection-error.ts';

/** Status and headers of a response (RFC 9112, 4 and 5). */
export interface ResponseHead {
  readonly status: number;
  readonly isHttp10: boolean;
  readonly headers: ReadonlyMap<string, string>;
}

const MAX_HEAD = 64 * 1024;
const END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** A header value without line ends and other control characters. */
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Interim responses before the final one; real servers send one. */
const MAX_INTERIM = 5;

/** Reads the final response head, skipping interim (1xx) responses. */
export async function readHead(connection: Connection): Promise<ResponseHead> {
  for (let count = 0; count <= MAX_INTERIM; count += 1) {
    connection.awaitResponse();
    const head = parseHead(await readUntil(connection, END));
    if (head.status === 101) throw broken('the server switched to another protocol');
    if (head.status >= 200) return head;
  }
  throw broken('the server sends only interim responses');
}

/** Returns the text before `mark` and skips the mark. */
export async function readUntil(connection: Connection, mark: Buffer): Promise<string> {
  let seen: Buffer = Buffer.of();
  for (;;) {
    const part = await connection.read();
    if (part === undefined) {
      if (seen.length > 0) throw broken('the response head is incomplete');
      throw new ConnectionError('HTTP_CLOSED', 'the server closed the connection');
    }
    // Usually everything is in one part.
    const all =
      seen.length === 0
        ? Buffer.from(part.buffer, part.byteOffset, part.length)
        : Buffer.concat([seen, part]);
    const end = all.indexOf(mark);
    if (end > MAX_HEAD || (end < 0 && all.length > MAX_HEAD))
      throw broken('the response head is too long');
    if (end >= 0) {
      const text = all.toString('utf8', 0, end);
      connection.unread(all.subarray(end + mark.length));
      return text;
    }
    seen = Buffer.from(all);
  }
}

function parseHead(text: string): ResponseHead {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) throw broken('the response is not HTTP');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = FIELD.exec(line) ?? [];
    if (name === '' || /[\0\r\n]/.test(value)) throw broken('the response has an invalid header');
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), isHttp10: minor === '0', headers };
}

/**
 * Returns the head of a request.
 * @throws ConnectionError for a header that would break the request; its value is not shown
 */
export function formatHead(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
): string {
  let text = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME.test(name) || !VALUE.test(value))
      throw broken(`the header ${JSON.stringify(name)} cannot be sent`);
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}
