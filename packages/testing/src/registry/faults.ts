import type { IncomingMessage, ServerResponse } from 'node:http';

/** What goes wrong. */
export type Fault =
  /** Another answer. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The connection breaks after so many bytes of the answer's body. */
  | { readonly kind: 'cut'; readonly after: number }
  /** The body ends after so many bytes as if that were all of it. */
  | { readonly kind: 'short'; readonly after: number }
  /** One byte of the body is another. */
  | { readonly kind: 'corrupt' }
  /** The connection breaks after so many bytes of the request's body; 0 is before anything. */
  | { readonly kind: 'break'; readonly after: number }
  /** Nothing is ever said. */
  | { readonly kind: 'stall' };

/** When it does: the next `times` requests (default 1) of this method whose path matches. */
export interface Moment {
  readonly method?: string;
  readonly path: RegExp;
  readonly times?: number;
}

export class Faults {
  readonly #planned: { moment: Moment; fault: Fault; left: number }[] = [];

  plan(moment: Moment, fault: Fault): void {
    this.#planned.push({ moment, fault, left: moment.times ?? 1 });
  }

  /** The fault for a request, which then counts. */
  next(method: string, path: string): Fault | undefined {
    const found = this.#planned.find(
      ({ moment, left }) =>
        left > 0 &&
        (moment.method === undefined || moment.method === method) &&
        moment.path.test(path),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    return found.fault;
  }
}

/** Makes it go wrong. Whether nothing else is to be done. */
export function applyFault(
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (fault.kind === 'answer') {
    request.resume();
    response.writeHead(fault.status, fault.headers).end(fault.body);
    return true;
  }
  if (fault.kind === 'stall') return true;
  if (fault.kind === 'break') {
    breakRequest(request, fault.after);
    return fault.after === 0;
  }
  spoilBody(response, fault);
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

/** Bodies are written by `end` alone. */
function spoilBody(
  response: ServerResponse,
  fault: Extract<Fault, { kind: 'corrupt' | 'cut' | 'short' }>,
): void {
  const end = response.end.bind(response);
  const spoiled = (body: unknown): ServerResponse => {
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
  response.end = spoiled as typeof response.end;
}
