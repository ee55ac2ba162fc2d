import { LktError, type LktErrorCode } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';
import { loginFix } from './auth/token-service.ts';

const MAX_BODY = 64 * 1024;
const MAX_TEXT = 300;

/** An answer that is not the one that was wished for. */
export interface Refusal {
  readonly status: number;
  readonly url: URL;
  /** distribution-spec, "Error Codes" */
  readonly codes: readonly string[];
  /** The messages of the registry, as one line. Empty when it gives none. */
  readonly said: string;
}

/**
 * What a registry says no to, in the user's terms.
 * @param what was wanted, after "cannot": `pull registry.example/app:1`
 */
export async function registryError(response: HttpResponse, what: string): Promise<LktError> {
  return refusalError(await refusalOf(response), what);
}

export function refusalError({ status, url, said }: Refusal, what: string): LktError {
  const because = said === '' ? `HTTP status ${status}` : said;
  const message = `cannot ${what}: ${url.host} says ${because}`;
  const make = (code: LktErrorCode, fix?: string): LktError =>
    new LktError(code, message, fix === undefined ? {} : { fix });
  if (status === 401 || status === 403) return make('ACCESS_DENIED', loginFix(url.host));
  if (status === 404) return make('NOT_FOUND');
  if (status === 405 || /\bunsupported\b/i.test(said)) return make('UNSUPPORTED');
  if (status === 413) return make('UNSUPPORTED', 'the registry limits the size of what it takes');
  if (status === 429) return make('NETWORK_FAILED', `wait a while, or ${loginFix(url.host)}`);
  return make('NETWORK_FAILED');
}

/** Reads the body of an answer. */
export async function refusalOf(response: HttpResponse): Promise<Refusal> {
  const { status, url } = response;
  let text = '';
  try {
    text = (await response.bytes(MAX_BODY)).toString();
  } catch {
    await response.discard();
  }
  try {
    const { errors } = JSON.parse(text) as { errors: readonly unknown[] };
    const said: string[] = [];
    const codes: string[] = [];
    for (const error of errors) {
      const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
      if (typeof code === 'string') codes.push(code);
      said.push([message, code].find((item) => isText(item)) ?? '');
    }
    return { status, url, codes, said: plain([...new Set(said)].join(', ')) };
  } catch {
    return { status, url, codes: [], said: '' };
  }
}

/** One line without control characters, and without anything long enough to be a secret that came back. */
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
