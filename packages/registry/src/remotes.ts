import { LktError, silentReporter } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';
import type { Reference } from '@lkt/oci';
import type { Authorizer } from './auth/authorizer.ts';
import { findCredentials } from './auth/credentials.ts';
import type { RegistryOptions } from './options.ts';
import { authorizerFor, Remote, warnOnce } from './remote.ts';
import { findServer, type Server } from './server.ts';

/** Where what a reference names is asked for. */
export interface FindRemotes {
  /** The repository itself. */
  remote(reference: Reference): Promise<Remote>;
  /** All that may have it, the first to be asked first. */
  remotes(reference: Reference, isByDigest: boolean): (() => Promise<Remote>)[];
}

/** The repositories of registries and of their mirrors. What is found out about a server is found out once. */
export class Remotes implements FindRemotes {
  readonly #http: HttpClient;
  readonly #options: RegistryOptions;
  readonly #servers = new Map<string, Promise<{ server: Server; authorizer: Authorizer }>>();
  readonly #warn: (text: string) => void;

  constructor(http: HttpClient, options: RegistryOptions) {
    this.#http = http;
    this.#options = options;
    this.#warn = warnOnce(options.reporter ?? silentReporter);
  }

  async remote(reference: Reference): Promise<Remote> {
    const { domain, path } = reference;
    const { server, authorizer } = await this.#server(domain);
    return new Remote(path, server, authorizer, { warn: this.#warn });
  }

  /** The mirrors that may answer, and the registry itself, each found out about when it is its turn. */
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

  /** The mirrors of a registry, each as if it were the registry, the first to be asked first. */
  mirrors(domain: string): readonly FindRemotes[] {
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
    const { server, authorizer } = await this.#mirrorServer(url);
    return new Remote(path, server, authorizer, { namespace: domain, warn: this.#warn });
  }

  async #server(domain: string): Promise<{ server: Server; authorizer: Authorizer }> {
    const known = this.#servers.get(domain);
    if (known !== undefined) return known;
    const made = findServer(domain, this.#http, this.#options).then((server) => ({
      server,
      authorizer: this.#authorizer(server, domain),
    }));
    this.#servers.set(domain, made);
    made.catch(() => this.#servers.delete(domain));
    return made;
  }

  /** A mirror gets the credentials for its own name, never those of the registry it stands for. */
  async #mirrorServer(address: string): Promise<{ server: Server; authorizer: Authorizer }> {
    const known = this.#servers.get(address);
    if (known !== undefined) return known;
    const server = {
      base: checkedMirror(address, this.#options),
      http: this.#http,
      retryPolicy: this.#options,
    };
    const made = { server, authorizer: this.#authorizer(server, new URL(address).host) };
    this.#servers.set(address, Promise.resolve(made));
    return made;
  }

  #authorizer(server: Server, domain: string): Authorizer {
    const { env = {} } = this.#options;
    return authorizerFor(server, async (path) => findCredentials(domain, path, env));
  }
}

function checkedMirror(address: string, { insecure = [] }: RegistryOptions): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isSafe =
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' && (isLoopback(url.hostname) || insecure.includes(url.host)));
  if (isSafe) return address.replace(/\/+$/, '');
  throw new LktError('CONFIG_INVALID', 'a mirror is not an address of https', {
    fix: 'write it as https://mirror.example',
  });
}
