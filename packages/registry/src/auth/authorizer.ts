import { LktError } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credentials } from './credential-types.ts';
import { basic, requestToken, type Token } from './token-service.ts';

/** Finds the credentials for the repository at this path of the registry. */
export type FindCredentials = (path: string) => Promise<Credentials | undefined>;

/** Authorizes requests to one registry. It learns the method and scopes from 401 responses. */
export class Authorizer {
  readonly #http: HttpClient;
  readonly #registry: URL;
  readonly #find: FindCredentials;
  readonly #tokens = new Map<string, Promise<Token>>();
  readonly #credentials = new Map<string, Promise<Credentials | undefined>>();
  /** Scopes that the registry requested in addition to those of the request. */
  readonly #requiredScopes = new Map<string, readonly string[]>();
  #challenge: Challenge | undefined;

  constructor(http: HttpClient, registry: URL, find: FindCredentials) {
    this.#http = http;
    this.#registry = registry;
    this.#find = find;
  }

  /** Returns the `authorization` header for a request; undefined before the first challenge. */
  async header(
    path: string,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined;
    const credentials = await this.#credentialsFor(path);
    if (credentials?.kind === 'bearer') return `Bearer ${credentials.token}`;
    if (this.#challenge.scheme === 'basic')
      return credentials?.kind === 'password' ? basic(credentials) : undefined;
    const wanted = this.#requiredScopes.get(key(path, scopes)) ?? scopes;
    const token = await this.#token(this.#challenge, path, wanted, credentials, signal);
    return `Bearer ${token.text}`;
  }

  /**
   * Handles the challenge of a 401 response. Reports whether to repeat the request, which was sent
   * with the header `sent`.
   */
  async handleChallenge(
    wwwAuthenticate: string,
    path: string,
    scopes: readonly string[],
    sent: string | undefined,
  ): Promise<boolean> {
    const challenges = parseChallenges(wwwAuthenticate);
    // Prefer bearer: a token reveals less about the user.
    const challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined) return false;
    this.#challenge = challenge;
    const credentials = await this.#credentialsFor(path);
    if (challenge.scheme === 'basic' || credentials?.kind === 'bearer')
      return sent === undefined && credentials !== undefined;
    const { scope } = challenge.parameters;
    const before = this.#requiredScopes.get(key(path, scopes)) ?? scopes;
    const wanted =
      scope === undefined || scope === '' || before.includes(scope) ? before : [scope, ...before];
    this.#requiredScopes.set(key(path, scopes), wanted);
    // The rejected token may have expired, or lacked a scope.
    const known = this.#tokens.get(key(path, wanted));
    if (known !== undefined && `Bearer ${(await known).text}` === sent)
      this.#tokens.delete(key(path, wanted));
    return true;
  }

  async #token(
    challenge: Challenge,
    path: string,
    scopes: readonly string[],
    credentials: Exclude<Credentials, { kind: 'bearer' }> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const name = key(path, scopes);
    const known = this.#tokens.get(name);
    if (known !== undefined && (await known).expires > performance.now()) return known;
    // Concurrent requests share the token, so an abort of the first must not cancel it.
    const pending = requestToken(this.#http, this.#registry, challenge, scopes, credentials);
    this.#tokens.set(name, pending);
    pending.catch(() => this.#tokens.delete(name));
    const token = await pending;
    signal?.throwIfAborted();
    return token;
  }

  async #credentialsFor(path: string): Promise<Credentials | undefined> {
    const known = this.#credentials.get(path);
    if (known !== undefined) return known;
    const found = this.#find(path).then((credentials) => {
      const { protocol, hostname, host } = this.#registry;
      if (credentials === undefined || protocol === 'https:' || isLoopback(hostname))
        return credentials;
      throw new LktError(
        'ACCESS_DENIED',
        `the registry ${host} requires a password, which lkt does not send over http`,
        { fix: 'serve the registry over https, or allow anonymous access' },
      );
    });
    this.#credentials.set(path, found);
    return found;
  }
}

function key(path: string, scopes: readonly string[]): string {
  return [path, ...scopes].join(' ');
}
