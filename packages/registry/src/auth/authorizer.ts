import { LktError } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { basic, requestToken, type Token } from './token-service.ts';

/** Finds the credentials for a repository (its path) of the registry. */
export type FindCredentials = (path: string) => Promise<Credentials | undefined>;

/** What one registry wants to see before it does something, found out by being refused. */
export class Authorizer {
  readonly #http: HttpClient;
  readonly #registry: URL;
  readonly #find: FindCredentials;
  readonly #tokens = new Map<string, Promise<Token>>();
  readonly #credentials = new Map<string, Promise<Credentials | undefined>>();
  /** More than was asked for at first, where the registry said what it wants. */
  readonly #wanted = new Map<string, readonly string[]>();
  #challenge: Challenge | undefined;

  constructor(http: HttpClient, registry: URL, find: FindCredentials) {
    this.#http = http;
    this.#registry = registry;
    this.#find = find;
  }

  /** The header for a request, as far as is known yet. */
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
    const wanted = this.#wanted.get(key(path, scopes)) ?? scopes;
    const token = await this.#token(this.#challenge, path, wanted, credentials, signal);
    return `Bearer ${token.text}`;
  }

  /**
   * Learns from a refusal. Whether the request, which had this header, may go better when it is sent again.
   */
  async learn(
    wwwAuthenticate: string,
    path: string,
    scopes: readonly string[],
    sent: string | undefined,
  ): Promise<boolean> {
    const challenges = parseChallenges(wwwAuthenticate);
    // Of the two, a token says less about the user.
    const challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined) return false;
    this.#challenge = challenge;
    const credentials = await this.#credentialsFor(path);
    if (challenge.scheme === 'basic' || credentials?.kind === 'bearer')
      return sent === undefined && credentials !== undefined;
    const { scope } = challenge.parameters;
    const before = this.#wanted.get(key(path, scopes)) ?? scopes;
    const wanted =
      scope === undefined || scope === '' || before.includes(scope) ? before : [scope, ...before];
    this.#wanted.set(key(path, scopes), wanted);
    // The token that was refused may have ended, or have been for less.
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
    // Who asks first asks for all; but when they give up, the others must not.
    const asked = requestToken(
      this.#http,
      this.#registry,
      challenge,
      scopes,
      credentials,
      undefined,
    );
    this.#tokens.set(name, asked);
    asked.catch(() => this.#tokens.delete(name));
    const token = await asked;
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
        `the registry ${host} wants a password, which is not sent over http`,
        { fix: 'give the registry a certificate, or make it ask for none' },
      );
    });
    this.#credentials.set(path, found);
    return found;
  }
}

function key(path: string, scopes: readonly string[]): string {
  return [path, ...scopes].join(' ');
}
