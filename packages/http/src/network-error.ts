import { LktError } from '@lkt/core';
import { readableUrl } from './address.ts';

/** Errors that are the same a second later. */
const LASTING: ReadonlySet<string> = new Set(['ENOTFOUND', 'ECONNREFUSED', 'EACCES', 'EPERM']);

const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]);

/** The failure of a connection in the user's terms. What libraries say of it may name headers, so it is said anew. */
export function networkError(url: URL, error: unknown): unknown {
  if (error instanceof LktError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  // What has no code is a bug, here or in a library, except a broken body.
  if (code === undefined && error.name === 'TypeError') return error;
  const why = explain(code, url) ?? firstMessage(error);
  return new NetworkError(`${readableUrl(url)} cannot be reached: ${why}`, {
    isTemporary: !isTls(code) && !LASTING.has(code ?? ''),
    speaksTls: !NO_TLS.has(code ?? ''),
    fix: fixFor(code),
  });
}

/** A connection that failed. */
export class NetworkError extends LktError {
  /** Whether a second try may go better. */
  readonly isTemporary: boolean;
  /** False when the server answers a greeting of TLS in another language. A certificate that is wrong is TLS. */
  readonly speaksTls: boolean;

  constructor(
    message: string,
    options: { isTemporary: boolean; speaksTls?: boolean; fix?: string | undefined },
  ) {
    super('NETWORK_FAILED', message, options.fix === undefined ? {} : { fix: options.fix });
    this.isTemporary = options.isTemporary;
    this.speaksTls = options.speaksTls ?? true;
  }
}

/** Whether it is the failure of a connection that may go better a second time. */
export function isTemporary(error: unknown): boolean {
  return error instanceof NetworkError && error.isTemporary;
}

function explain(code: string | undefined, { hostname }: URL): string | undefined {
  if (code === 'ENOTFOUND') return `there is no host ${hostname}`;
  return REASONS[code ?? ''];
}

const REASONS: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'its name cannot be looked up at the moment',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the server does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS',
  ERR_STREAM_DESTROYED: 'the connection broke',
  ETIMEDOUT: 'no connection in time',
  HTTP_CLOSED: 'the connection broke',
  HTTP_CONNECT_TIMEOUT: 'no connection in time',
  HTTP_IDLE: 'no answer in time',
  HTTP_SHORT: 'the answer is shorter than it says',
  UND_ERR_ABORTED: 'the proxy refuses the connection',
  UND_ERR_BODY_TIMEOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer is shorter than it says',
  UND_ERR_SOCKET: 'the connection broke',
};

function fixFor(code: string | undefined): string | undefined {
  return isUntrusted(code)
    ? 'name the certificate of its authority with SSL_CERT_FILE or NODE_EXTRA_CA_CERTS'
    : undefined;
}

function isUntrusted(code: string | undefined): boolean {
  return /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_SELF_SIGNED)/.test(code ?? '');
}

function isTls(code: string | undefined): boolean {
  return isUntrusted(code) || /^(?:CERT_|ERR_TLS_|ERR_SSL_|EPROTO|UND_ERR_PRX)/.test(code ?? '');
}

/** Of the innermost error that has one: `fetch failed` is caused by two refused addresses, each with its own. */
function codeOf(error: Error): string | undefined {
  const inner = innerOf(error);
  const found = inner === undefined ? undefined : codeOf(inner);
  if (found !== undefined) return found;
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function firstMessage(error: Error): string {
  const inner = innerOf(error);
  return (inner === undefined ? error.message : firstMessage(inner)).split('\n')[0] ?? '';
}

function innerOf(error: Error): Error | undefined {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error.cause;
  return inner instanceof Error ? inner : undefined;
}
