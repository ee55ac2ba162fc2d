import { LktError } from '@lkt/core';
import { createHttpClient, type HttpClient, NetworkError } from '@lkt/http';
import { objectOf } from '../rest/json-object.ts';

/** A cluster of etcd, and how to reach it. */
export interface EtcdOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`; the first that answers is used. */
  readonly endpoints: readonly string[];
  /** PEM; undefined: the authorities of the machine. */
  readonly ca?: string;
  /** Authenticates this client; PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** For a cluster with authentication. */
  readonly user?: { readonly name: string; readonly password: string };
}

/** Options of a call. */
export interface EtcdCall {
  readonly signal: AbortSignal;
  /** Time for all endpoints together. */
  readonly timeoutMs: number;
}

/** A condition of a transaction: a key does not exist, or has this value. */
export type EtcdCondition =
  | { readonly key: string; readonly isMissing: true }
  | { readonly key: string; readonly value: string };

const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_MESSAGE_CHARS = 200;

/**
 * Calls etcd by its gRPC gateway: JSON over HTTP,
 * https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/.
 */
export class EtcdClient implements AsyncDisposable {
  readonly #options: EtcdOptions;
  readonly #http: HttpClient;
  #token: string | undefined;

  constructor(options: EtcdOptions) {
    this.#options = options;
    // Neither proxies nor retries: a lease depends on time.
    const { ca, clientCertificate } = options;
    this.#http = createHttpClient({
      env: {},
      ca: ca === undefined ? [] : [ca],
      ...(clientCertificate === undefined ? {} : { clientCertificate }),
    });
  }

  /** Returns the value of a key; undefined without one. */
  async get(key: string, call: EtcdCall): Promise<string | undefined> {
    const { kvs } = await this.#call('/v3/kv/range', { key: encode(key) }, call);
    const [first] = Array.isArray(kvs) ? (kvs as readonly unknown[]) : [];
    if (first === undefined) return undefined;
    const { value = '' } = objectOf(first);
    if (typeof value !== 'string') throw malformed('a value');
    return Buffer.from(value, 'base64').toString();
  }

  /** Writes values if all conditions hold, and reports whether they did. */
  async writeIf(
    conditions: readonly EtcdCondition[],
    puts: readonly { readonly key: string; readonly value: string; readonly lease?: string }[],
    call: EtcdCall,
  ): Promise<boolean> {
    const compare = conditions.map((condition) => {
      const { key } = condition;
      return 'isMissing' in condition
        ? { key: encode(key), target: 'CREATE', result: 'EQUAL', create_revision: '0' }
        : { key: encode(key), target: 'VALUE', result: 'EQUAL', value: encode(condition.value) };
    });
    const success = puts.map(({ key, value, lease }) => ({
      request_put: {
        key: encode(key),
        value: encode(value),
        ...(lease === undefined ? {} : { lease }),
      },
    }));
    const { succeeded } = await this.#call('/v3/kv/txn', { compare, success }, call);
    return succeeded === true;
  }

  /** Begins a lease, which ends after so many seconds without {@link keepAlive}. */
  async grant(ttl: number, call: EtcdCall): Promise<{ readonly id: string; readonly ttl: number }> {
    const answer = await this.#call('/v3/lease/grant', { TTL: String(ttl) }, call);
    const { ID: id } = answer;
    const granted = Number(answer['TTL']);
    if (typeof id !== 'string' || !/^\d{1,20}$/.test(id) || !(granted > 0))
      throw malformed('a lease');
    return { id, ttl: granted };
  }

  /** Prolongs a lease, and reports whether it still existed. */
  async keepAlive(id: string, call: EtcdCall): Promise<boolean> {
    const { result } = await this.#call('/v3/lease/keepalive', { ID: id }, call);
    return Number(objectOf(result)['TTL']) > 0;
  }

  /** Ends a lease, and with it its values. */
  async revoke(id: string, call: EtcdCall): Promise<void> {
    await this.#call('/v3/lease/revoke', { ID: id }, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  /** @throws LktError NETWORK_FAILED, ACCESS_DENIED; the signal's reason */
  async #call(
    path: string,
    body: object,
    { signal, timeoutMs }: EtcdCall,
  ): Promise<Readonly<Record<string, unknown>>> {
    signal.throwIfAborted();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, timeoutMs))]);
    const { user } = this.#options;
    try {
      if (user === undefined) return (await this.#send(path, body, limit)).answer;
      for (let attempt = 0; ; attempt += 1) {
        this.#token ??= await this.#authenticate(user, limit);
        const { status, answer } = await this.#send(path, body, limit, attempt === 0);
        if (status !== 401) return answer;
        // Tokens end when they are not used for five minutes.
        this.#token = undefined;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      throw new LktError('NETWORK_FAILED', `etcd did not answer ${path} in time`, {
        fix: `check that it runs, and has a leader: ${this.#options.endpoints.join(', ')}`,
      });
    }
  }

  async #authenticate(
    { name, password }: NonNullable<EtcdOptions['user']>,
    signal: AbortSignal,
  ): Promise<string> {
    const { answer } = await this.#send('/v3/auth/authenticate', { name, password }, signal);
    const { token } = answer;
    if (typeof token === 'string' && /^[\x21-\x7e]{1,4096}$/.test(token)) return token;
    throw malformed('a token');
  }

  /** Sends a request to the first endpoint that answers. */
  async #send(
    path: string,
    body: object,
    signal: AbortSignal,
    mayExpire = false,
  ): Promise<{ readonly status: number; readonly answer: Readonly<Record<string, unknown>> }> {
    let failure: unknown;
    for (const endpoint of this.#options.endpoints) {
      let status: number;
      let text: string;
      try {
        const response = await this.#http.request(`${endpoint}${path}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(this.#token === undefined ? {} : { authorization: this.#token }),
          },
          body: JSON.stringify(body),
          signal,
          retry: false,
          redirect: false,
        });
        ({ status } = response);
        text = (await response.bytes(MAX_ANSWER_BYTES)).toString();
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
        continue;
      }
      if (status === 401 && mayExpire) return { status, answer: {} };
      if (status === 200) return { status, answer: parse(text) };
      failure = refused(path, status, text);
      // Another member may have a leader; none accepts what this one refuses for the request.
      if (status < 500) throw failure;
    }
    if (!(failure instanceof NetworkError)) throw failure;
    throw new LktError('NETWORK_FAILED', `etcd: ${failure.message}`, {
      fix: 'start it, or correct the address of the lease; ETCDCTL_CACERT names its authority',
    });
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return objectOf(JSON.parse(text));
  } catch (cause) {
    throw new LktError('NETWORK_FAILED', 'the response of etcd is not JSON', {
      cause,
      fix: 'use the address for clients, with the gRPC gateway',
    });
  }
}

function malformed(what: string): LktError {
  return new LktError('NETWORK_FAILED', `the response of etcd lacks ${what}`);
}

function refused(path: string, status: number, text: string): LktError {
  const [, message = ''] = /"(?:message|error)"\s*:\s*"([^"\\]{1,500})"/.exec(text) ?? [];
  const about = message === '' ? '' : `: ${message.slice(0, MAX_MESSAGE_CHARS)}`;
  const isDenied =
    status === 401 || status === 403 || /authentication failed|user name is empty/.test(message);
  return new LktError(
    isDenied ? 'ACCESS_DENIED' : 'NETWORK_FAILED',
    `etcd rejects ${path} with status ${status}${about}`,
    isDenied
      ? { fix: 'set ETCDCTL_USER to NAME:PASSWORD of a user with a role for lkt/fleets/' }
      : {},
  );
}
