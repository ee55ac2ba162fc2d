import { LktError } from '@lkt/core';
import { redactUrl } from './address.ts';

/** Errors that a retry cannot fix. */
const PERMANENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ECONNREFUSED', 'EACCES', 'EPERM']);

const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]);

/**
 * Converts a connection error into the user's terms; returns other errors unchanged. The original
 * message is dropped, since it may contain headers.
 */
export function toNetworkError(url: URL, error: unknown): unknown {
  if (error instanceof LktError || !(error instanceof Error)) return error;
  const causes = withCauses(error);
  const code = causes
    .map((one) => ('code' in one ? one.code : undefined))
    .findLast((one) => typeof one === 'string');
  // An error without a code is a bug, except for a failed body.
  if (code === undefined && error.name === 'TypeError') return error;
  const why =
    code === 'ENOTFOUND'
      ? `host ${url.hostname} not found`
      : (REASONS[code ?? ''] ?? causes.at(-1)?.message.split('\n')[0]);
  return new NetworkError(`${redactUrl(url)} cannot be reached: ${why}`, {
    isTemporary: !isTls(code) && !PERMANENT.has(code ?? ''),
    isSilence: SILENCE.has(code ?? ''),
    speaksTls: !NO_TLS.has(code ?? ''),
    fix: fixOf(code),
  });
}

/** A failed connection. */
export class NetworkError extends LktError {
  /** A retry may succeed. */
  readonly isTemporary: boolean;
  /** The server sent nothing for as long as the client waits. */
  readonly isSilence: boolean;
  /**
   * False if the server responds to TLS with another protocol. An invalid certificate counts as
   * TLS.
   */
  readonly speaksTls: boolean;

  constructor(
    message: string,
    options: { isTemporary: boolean; isSilence?: boolean; speaksTls?: boolean; fix?: string },
  ) {
    super('NETWORK_FAILED', message, { fix: options.fix });
    this.isTemporary = options.isTemporary;
    this.isSilence = options.isSilence ?? false;
    this.speaksTls = options.speaksTls ?? true;
  }
}

/**
 * Reports whether another attempt may fix a connection error. After silence there is only one more:
 * each takes as long as the client waits.
 * @param attempt that failed; the first is 0
 */
export function isWorthRetry(error: unknown, attempt: number): boolean {
  return error instanceof NetworkError && error.isTemporary && !(error.isSilence && attempt > 0);
}

const SILENCE: ReadonlySet<string> = new Set([
  'HTTP_IDLE',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
]);

const REASONS: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name lookup failed temporarily',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was lost',
  EPIPE: 'the connection was lost',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the server does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS',
  ERR_STREAM_DESTROYED: 'the connection was lost',
  ETIMEDOUT: 'the connection timed out',
  HTTP_CLOSED: 'the connection was lost',
  HTTP_CONNECT_TIMEOUT: 'the connection timed out',
  HTTP_IDLE: 'no response in time',
  HTTP_SHORT: 'the response is incomplete',
  UND_ERR_ABORTED: 'the proxy refused the connection',
  UND_ERR_BODY_TIMEOUT: 'no response in time',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no response in time',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the response is incomplete',
  UND_ERR_SOCKET: 'the connection was lost',
};

/** No connection was made. */
const UNREACHED: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ETIMEDOUT',
  'HTTP_CONNECT_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function fixOf(code: string | undefined): string | undefined {
  if (code === 'HTTP_SLOW') return 'run the command again; files that arrived whole are kept';
  if (isUntrusted(code))
    return 'name the file of its certificate authority: --cert-file for registries, or SSL_CERT_FILE';
  return UNREACHED.has(code ?? '')
    ? 'check the address and the network; behind a proxy, set HTTPS_PROXY and HTTP_PROXY'
    : undefined;
}

function isUntrusted(code: string | undefined): boolean {
  return /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_SELF_SIGNED)/.test(code ?? '');
}

function isTls(code: string | undefined): boolean {
  return isUntrusted(code) || /^(?:CERT_|ERR_TLS_|ERR_SSL_|EPROTO|UND_ERR_PRX)/.test(code ?? '');
}

/** Returns an error and its causes, the innermost last. Of several addresses the first counts. */
function withCauses(error: Error): readonly Error[] {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error.cause;
  return inner instanceof Error ? [error, ...withCauses(inner)] : [error];
}
