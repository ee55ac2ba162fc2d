import type { SpeedLimit } from '@lkt/core';

/** Failures of a connection beyond those of the operating system. */
export type ConnectionErrorCode =
  | 'HTTP_BROKEN'
  | 'HTTP_CLOSED'
  | 'HTTP_CONNECT_TIMEOUT'
  | 'HTTP_IDLE'
  | 'HTTP_SHORT'
  | 'HTTP_SLOW';

/** Returns the error for a message that breaks the protocol. */
export function broken(message: string): ConnectionError {
  return new ConnectionError('HTTP_BROKEN', message);
}

/** Returns the error for a response slower than the limit. */
export function tooSlow({ bytesPerSecond, time }: SpeedLimit): ConnectionError {
  const message = `it sent fewer than ${bytesPerSecond} bytes per second for ${time / 1000} seconds`;
  return new ConnectionError('HTTP_SLOW', message);
}

/** A failure of a connection, converted by `toNetworkError`. */
export class ConnectionError extends Error {
  readonly code: ConnectionErrorCode;

  constructor(code: ConnectionErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
