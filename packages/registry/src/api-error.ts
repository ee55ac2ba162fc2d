import { LktError, type LktErrorCode } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';
import { loginFix } from './auth/token-service.ts';

const MAX_BODY = 64 * 1024;
const MAX_TEXT = 300;

/** An error response of a registry. */
export interface ApiError {
  readonly status: number;
  readonly url: URL;
  /** Codes of distribution-spec, "Error Codes". */
  readonly codes: readonly string[];
  /** The registry's messages on one line; empty if it sent no message. */
  readonly message: string;
}

/**
 * Returns an error response in the user's terms.
 * @param registry its address: only there a login helps, not where it redirected to
 * @param what the failed action, to follow "cannot": `pull registry.example/app:1`
 */
export async function registryError(
  response: HttpResponse,
  registry: URL,
  what: string,
): Promise<LktError> {
  return toLktError(await readApiError(response), registry, what);
}

/** As `registryError`, for an error response that was read. */
export function toLktError(apiError: ApiError, registry: URL, what: string): LktError {
  const { status, url, message: text } = apiError;
  const reason = text === '' ? `HTTP status ${status}` : text;
  const isOwn = url.host === registry.host;
  const by = isOwn ? url.host : `${url.host}, where ${registry.host} redirects to`;
  const message = `cannot ${what}: ${by}: ${reason}`;
  const make = (code: LktErrorCode, fix?: string): LktError =>
    new LktError(code, message, fix === undefined ? {} : { fix });
  if (status === 401 || status === 403)
    return make('ACCESS_DENIED', isOwn ? loginFix(registry.host) : undefined);
  if (status === 404) return make('NOT_FOUND');
  if (status === 405 || /\bunsupported\b/i.test(text)) return make('UNSUPPORTED');
  if (status === 413) return make('UNSUPPORTED', 'raise the upload limit of the registry');
  if (status === 429) return make('NETWORK_FAILED', `wait a while, or ${loginFix(registry.host)}`);
  return make('NETWORK_FAILED');
}

/** Reads the body of an error response. */
export async function readApiError(response: HttpResponse): Promise<ApiError> {
  const { status, url } = response;
  let text = '';
  try {
    text = (await response.bytes(MAX_BODY)).toString();
  } catch {
    await response.discard();
  }
  try {
    const { errors } = JSON.parse(text) as { errors: readonly unknown[] };
    const messages: string[] = [];
    const codes: string[] = [];
    for (const error of errors) {
      const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
      if (typeof code === 'string') codes.push(code);
      messages.push([message, code].find((item) => isText(item)) ?? '');
    }
    return { status, url, codes, message: plain([...new Set(messages)].join(', ')) };
  } catch {
    return { status, url, codes: [], message: '' };
  }
}

/**
 * Returns one line without control characters and without long tokens, which may be echoed secrets.
 */
function plain(text: string): string {
  return text
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .replaceAll(/(?:bearer|basic) \S+/gi, '…')
    .replaceAll(/[\w.+/=-]{100,}/g, '…')
    .trim()
    .slice(0, MAX_TEXT);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
