import type { IncomingMessage, ServerResponse } from 'node:http';

/** A failure of the server. */
export type Fault =
  /** Sends this response instead. */
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Closes the connection after this number of bytes of the response body. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Ends the body after this number of bytes, as if it were complete. */
  | { readonly kind: 'short'; readonly after: number }
  /** Changes one byte of the body. */
  | { readonly kind: 'corrupt' }
  /** Closes the connection after this number of bytes of the request body; 0 means at once. */
  | { readonly kind: 'break'; readonly after: number }
  /** Never responds. */
  | { readonly kind: 'stall' };

/**
 * Requests to which a fault applies: the next `times` (default 1) with this method and a matching
 * path.
 */
export interface RequestMatcher {
  readonly method?: string;
  readonly path: RegExp;
  readonly times?: number;
}

/** The planned faults of a server. */
export class Faults {
  readonly #planned: { matcher: RequestMatcher; fault: Fault; left: number }[] = [];

  plan(matcher: RequestMatcher, fault: Fault): void {
    this.#planned.push({ matcher, fault, left: matcher.times ?? 1 });
  }

  /** Returns the fault for a request, and counts it. */
  next(method: string, path: string): Fault | undefined {
    const found = this.#planned.find(
      ({ matcher, left }) =>
        left > 0 &&
        (matcher.method === undefined || matcher.method === method) &&
        matcher.path.test(path),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    return found.fault;
  }
}

/** Applies a fault. Reports whether the request is done. */
export function applyFault(
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (fault.kind === 'respond') {
    request.resume();
    response.writeHead(fault.status, fault.headers).end(fault.body);
    return true;
  }
  if (fault.kind === 'stall') return true;
  if (fault.kind === 'break') {
    breakRequest(request, fault.after);
    return fault.after === 0;
  }
  alterBody(response, fault);
  return false;
}

function breakRequest(request: IncomingMessage, after: number): void {
  if (after === 0) {
    request.socket.destroy();
    return;
  }
  let received = 0;
  request.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received >= after) request.socket.destroy();
  });
}

/** Bodies are only written by `end`. */
function alterBody(
  response: ServerResponse,
  fault: Extract<Fault, { kind: 'corrupt' | 'cut' | 'short' }>,
): void {
  const end = response.end.bind(response);
  const altered = (body: unknown): ServerResponse => {
    if (!Buffer.isBuffer(body)) return end();
    if (fault.kind === 'corrupt') {
      const other = Buffer.from(body);
      other[0] = (other[0] ?? 0) ^ 1;
      return end(other);
    }
    if (fault.kind === 'short') {
      response.removeHeader('content-length');
      return end(body.subarray(0, fault.after));
    }
    response.write(body.subarray(0, fault.after), () => {
      setTimeout(() => response.destroy(), 10);
    });
    return response;
  };
  response.end = altered as typeof response.end;
}
