import { LktError, silentReporter } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';
import type { Reference } from '@lkt/oci';
import type { Authorizer } from './auth/authorizer.ts';
import { findCredentials } from './auth/credentials.ts';
import type { RegistryOptions } from './options.ts';
import { authorizerFor, Remote, warnOnce } from './remote.ts';
import { resolveEndpoint, type Endpoint } from './endpoint.ts';

/** Provides the repositories to query for a reference. */
export interface RemoteSource {
  /** Returns the repository itself. */
  remote(reference: Reference): Promise<Remote>;
  /** Returns all sources of the reference in order of preference. */
  remotes(reference: Reference, isByDigest: boolean): (() => Promise<Remote>)[];
}

/** The repositories of registries and their mirrors. Endpoints are resolved once. */
export class Remotes implements RemoteSource {
  readonly #http: HttpClient;
  readonly #options: RegistryOptions;
  readonly #endpoints = new Map<string, Promise<{ endpoint: Endpoint; authorizer: Authorizer }>>();
  readonly #warn: (text: string) => void;

  constructor(http: HttpClient, options: RegistryOptions) {
    this.#http = http;
    this.#options = options;
    this.#warn = warnOnce(options.reporter ?? silentReporter);
  }

  async remote(reference: Reference): Promise<Remote> {
    const { domain, path } = reference;
    const { endpoint, authorizer } = await this.#endpoint(domain);
    return new Remote(path, endpoint, authorizer, { warn: this.#warn });
  }

  /** Returns the mirrors and the registry itself; each is resolved when it is called. */
  remotes(reference: Reference, isByDigest: boolean): (() => Promise<Remote>)[] {
    const { domain, path } = reference;
    return [
      ...this.#mirrorsOf(domain)
        .filter(({ resolvesTags }) => isByDigest || resolvesTags === true)
        .map(
          ({ url }) =>
            async () =>
              this.#mirror(path, domain, url),
        ),
      async () => this.remote(reference),
    ];
  }

  /** Returns the mirrors of a registry in order of preference, each as a source of its own. */
  mirrors(domain: string): readonly RemoteSource[] {
    return this.#mirrorsOf(domain).map(({ url }) => {
      const remote = async ({ path }: Reference): Promise<Remote> =>
        this.#mirror(path, domain, url);
      return { remote, remotes: (reference) => [async () => remote(reference)] };
    });
  }

  #mirrorsOf(domain: string): NonNullable<RegistryOptions['mirrors']>[string] {
    const { mirrors = {} } = this.#options;
    return mirrors[domain] ?? mirrors['*'] ?? [];
  }

  async #mirror(path: string, domain: string, url: string): Promise<Remote> {
    const { endpoint, authorizer } = await this.#mirrorEndpoint(url);
    return new Remote(path, endpoint, authorizer, { namespace: domain, warn: this.#warn });
  }

  async #endpoint(domain: string): Promise<{ endpoint: Endpoint; authorizer: Authorizer }> {
    const known = this.#endpoints.get(domain);
    if (known !== undefined) return known;
    const created = resolveEndpoint(domain, this.#http, this.#options).then((endpoint) => ({
      endpoint,
      authorizer: this.#authorizer(endpoint, domain),
    }));
    this.#endpoints.set(domain, created);
    created.catch(() => this.#endpoints.delete(domain));
    return created;
  }

  /** Uses the credentials for the mirror's own name, never those of the mirrored registry. */
  async #mirrorEndpoint(address: string): Promise<{ endpoint: Endpoint; authorizer: Authorizer }> {
    const known = this.#endpoints.get(address);
    if (known !== undefined) return known;
    const endpoint = {
      base: checkedMirror(address, this.#options),
      http: this.#http,
      retryPolicy: this.#options,
    };
    const created = { endpoint, authorizer: this.#authorizer(endpoint, new URL(address).host) };
    this.#endpoints.set(address, Promise.resolve(created));
    return created;
  }

  #authorizer(endpoint: Endpoint, domain: string): Authorizer {
    const { env = {} } = this.#options;
    return authorizerFor(endpoint, async (path) => findCredentials(domain, path, env));
  }
}

function checkedMirror(address: string, { insecure = [] }: RegistryOptions): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isSafe =
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' && (isLoopback(url.hostname) || insecure.includes(url.host)));
  if (isSafe) return address.replace(/\/+$/, '');
  throw new LktError('CONFIG_INVALID', 'a mirror is not an https address', {
    fix: 'write it as https://mirror.example',
  });
}
