import { createHttpClient, type HttpClient, type HttpResponse } from '@lkt/http';
import { ProviderError, type ProviderFailure } from '../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf, wordsOf } from './json-object.ts';

/** A service that answers JSON over HTTP. */
export interface RestService {
  /** Its name in messages. */
  readonly name: string;
  /** Proxies and authorities. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** PEM of authorities beside those of the machine. */
  readonly ca?: string;
  /**
   * Returns headers with credentials.
   * @param isRejected the service has just refused the earlier ones
   */
  readonly authorize: (
    signal: AbortSignal,
    isRejected: boolean,
  ) => Promise<Readonly<Record<string, string>>>;
  /** The kind of an error by the service's own code; undefined: by the status. */
  readonly failureOf?: (code: string, message: string) => ProviderFailure | undefined;
  /** Advice when a right is missing. */
  readonly rightsFix: string;
}

/** A request. */
export interface RestCall {
  readonly method?: 'DELETE' | 'GET' | 'PATCH' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: Uint8Array | string | (() => AsyncIterable<Uint8Array>);
  readonly signal: AbortSignal;
  /** Timeout of the response; default one minute. */
  readonly timeoutMs?: number;
}

/** The response to a successful request. */
export interface RestAnswer {
  readonly status: number;
  /** Empty for an answer without a body. */
  readonly body: JsonObject;
  readonly header: (name: string) => string | undefined;
}

const MAX_ANSWER_BYTES = 32 * 2 ** 20;
const TIMEOUT_MS = 60_000;
/** Some calls respond only when the operation ends; `timeoutMs` bounds them. */
const IDLE_MS = 180_000;

/** Calls a service. Does not retry: the controller does, after a new list. */
export class RestClient implements AsyncDisposable {
  readonly #service: RestService;
  readonly #http: HttpClient;

  constructor(service: RestService) {
    const { ca, variables } = service;
    this.#service = service;
    this.#http = createHttpClient({
      env: variables,
      ca: ca === undefined ? [] : [ca],
      idle: IDLE_MS,
    });
  }

  /**
   * Sends a request, with credentials, and follows no redirection.
   * @param what its name in messages
   * @throws ProviderError; the signal's reason
   */
  async call(what: string, url: string, call: RestCall): Promise<RestAnswer> {
    const { authorize, name } = this.#service;
    let credentials = await authorize(call.signal, false);
    let { response, bytes } = await this.#send(what, url, call, credentials);
    // A token can end before its time; a streamed body is not sent twice.
    if (response.status === 401 && typeof call.body !== 'function') {
      const before = JSON.stringify(credentials);
      credentials = await authorize(call.signal, true);
      // Equal credentials would only count as another failed attempt.
      if (JSON.stringify(credentials) !== before)
        ({ response, bytes } = await this.#send(what, url, call, credentials));
    }
    const { status, header } = response;
    if (status < 200 || status >= 300) throw this.#errorOf(what, status, bytes);
    return { status, body: parse(`${name}: ${what}`, bytes), header };
  }

  /** As {@link call}; undefined for an error of the kind `ignored`. */
  async callUnless(
    ignored: ProviderFailure,
    what: string,
    url: string,
    call: RestCall,
  ): Promise<RestAnswer | undefined> {
    try {
      return await this.call(what, url, call);
    } catch (error) {
      if (error instanceof ProviderError && error.failure === ignored) return undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  async #send(
    what: string,
    url: string,
    { method = 'GET', headers, json, body, signal, timeoutMs = TIMEOUT_MS }: RestCall,
    credentials: Readonly<Record<string, string>>,
  ): Promise<{ readonly response: HttpResponse; readonly bytes: Buffer }> {
    signal.throwIfAborted();
    try {
      const response = await this.#http.request(url, {
        method,
        headers: {
          accept: 'application/json',
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
          ...credentials,
        },
        body: json === undefined ? body : JSON.stringify(json),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        retry: false,
        redirect: false,
      });
      return { response, bytes: await response.bytes(MAX_ANSWER_BYTES) };
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof ProviderError) throw cause;
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new ProviderError('unavailable', `${this.#service.name}: ${what}: ${text}`, { cause });
    }
  }

  #errorOf(what: string, status: number, bytes: Buffer): ProviderError {
    const { name, failureOf, rightsFix } = this.#service;
    const { code, message } = errorIn(bytes);
    const failure = failureOf?.(code, message) ?? failureByStatus(status);
    const about = [code, message].filter((text) => text !== '').join(': ');
    return new ProviderError(
      failure,
      `${name}: ${what}: status ${status}${about === '' ? '' : `: ${about}`}`,
      failure === 'denied' ? { fix: rightsFix } : {},
    );
  }
}

function parse(what: string, bytes: Buffer): JsonObject {
  if (bytes.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new ProviderError('malformed', `${what}: the response is not JSON`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as JsonObject;
  throw new ProviderError('malformed', `${what}: the response is not an object`);
}

/** Returns code and message of an error, as the clouds write them: in one object of any name. */
function errorIn(bytes: Buffer): { readonly code: string; readonly message: string } {
  let value: JsonObject;
  try {
    value = objectOf(JSON.parse(bytes.toString()));
  } catch {
    return { code: '', message: '' };
  }
  const [[key, inner] = ['', {}]] = Object.entries(value);
  const error = objectOf(inner);
  if (typeof inner === 'string') {
    // OAuth 2: {"error": "invalid_grant", "error_description": "…"}
    return { code: wordsOf(inner), message: wordsOf(value['error_description']) };
  }
  const [first] = objectsOf(error['errors']);
  const code = textOf(first?.['reason']) || textOf(error['code']) || textOf(error['type']) || key;
  return { code: wordsOf(code), message: wordsOf(error['message']) };
}

function failureByStatus(status: number): ProviderFailure {
  // A redirection is not followed: it would lead credentials elsewhere.
  if (status < 400) return 'malformed';
  if (status === 401 || status === 403) return 'denied';
  if (status === 404) return 'missing';
  if (status === 409 || status === 412) return 'conflict';
  if (status === 429) return 'throttled';
  return status >= 500 ? 'unavailable' : 'invalid';
}
