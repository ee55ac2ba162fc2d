/** What can go wrong on a connection, beside what the operating system says. */
export type WireFailure =
  | 'HTTP_BROKEN'
  | 'HTTP_CLOSED'
  | 'HTTP_CONNECT_TIMEOUT'
  | 'HTTP_IDLE'
  | 'HTTP_SHORT';

/** A failure of a connection, for `networkError` to say in the user's terms. */
export class WireError extends Error {
  readonly code: WireFailure;

  constructor(code: WireFailure, message: string) {
    super(message);
    this.code = code;
  }
}
