/** Failures of a connection beyond those of the operating system. */
export type ConnectionErrorCode =
  | 'HTTP_BROKEN'
  | 'HTTP_CLOSED'
  | 'HTTP_CONNECT_TIMEOUT'
  | 'HTTP_IDLE'
  | 'HTTP_SHORT';

/** A failure of a connection, converted by `toNetworkError`. */
export class ConnectionError extends Error {
  readonly code: ConnectionErrorCode;

  constructor(code: ConnectionErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
