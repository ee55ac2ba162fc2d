import { LktError, type Reporter, silentReporter } from '@lkt/core';
import { type HttpClient, isLoopback } from '@lkt/http';
import { familiarReference, formatReference, type Reference } from '@lkt/oci';
import { Authorizer } from './auth/authorizer.ts';
import { findCredentials } from './auth/credentials.ts';
import type { RegistryOptions } from './options.ts';
import { Remote, type Repository } from './remote.ts';
import { resolveAddress, type Endpoint } from './endpoint.ts';

/** Provides the repositories to query for a reference. Their requests end with the signal. */
export interface RemoteSource {
  /** Returns the repository itself. */
  remote(reference: Reference, signal: AbortSignal | undefined): Promise<Remote>;
  /** Returns all sources of the reference in order of preference; each is resolved when called. */
  remotes(
    reference: Reference,
    isByDigest: boolean,
    signal: AbortSignal | undefined,
  ): readonly (() => Promise<Remote>)[];
}

/** The repositories of registries and their mirrors. Endpoints are resolved once. */
export class Remotes implements RemoteSource {
  readonly #http: HttpClient;
  readonly #options: RegistryOptions;
  readonly #endpoints = new Map<string, Promise<Endpoint>>();
  readonly #warn: (text: string) => void;

  constructor(http: HttpClient, options: RegistryOptions) {
    this.#http = http;
    this.#options = options;
    this.#warn = warnOnce(options.reporter ?? silentReporter);
  }

  async remote(reference: Reference, signal: AbortSignal | undefined): Promise<Remote> {
    const repository = requireRegistry(reference);
    const { domain } = repository;
    const endpoint = await this.#endpoint(domain, domain, async () =>
      resolveAddress(domain, this.#http, this.#options),
    );
    return new Remote(endpoint, repository, { signal });
  }

  /** Returns the mirrors and the registry itself. */
  remotes(
    reference: Reference,
    isByDigest: boolean,
    signal: AbortSignal | undefined,
  ): (() => Promise<Remote>)[] {
    const repository = requireRegistry(reference);
    return [
      ...this.#mirrorsOf(repository.domain)
        .filter(({ resolvesTags }) => isByDigest || resolvesTags === true)
        .map(
          ({ url }) =>
            async () =>
              this.#mirror(url, repository, signal),
        ),
      async () => this.remote(reference, signal),
    ];
  }

  /**
   * Returns the mirrors of a registry in order of preference, each as a source of its own; none
   * without a registry.
   */
  mirrors(domain: string | undefined): readonly RemoteSource[] {
    if (domain === undefined) return [];
    return this.#mirrorsOf(domain).map(({ url }): RemoteSource => {
      const remote: RemoteSource['remote'] = async (reference, signal) =>
        this.#mirror(url, { ...requireRegistry(reference), domain }, signal);
      return { remote, remotes: (reference, _, signal) => [async () => remote(reference, signal)] };
    });
  }

  #mirrorsOf(domain: string): NonNullable<RegistryOptions['mirrors']>[string] {
    const { mirrors = {} } = this.#options;
    return mirrors[domain] ?? mirrors['*'] ?? [];
  }

  /** Uses the credentials for the mirror's own name, never those of the mirrored registry. */
  async #mirror(
    url: string,
    repository: Repository,
    signal: AbortSignal | undefined,
  ): Promise<Remote> {
    const base = checkedMirror(url, this.#options);
    const endpoint = await this.#endpoint(url, new URL(base).host, async () => base);
    return new Remote(endpoint, repository, { isMirror: true, signal });
  }

  async #endpoint(key: string, domain: string, findBase: () => Promise<string>): Promise<Endpoint> {
    const known = this.#endpoints.get(key);
    if (known !== undefined) return known;
    const { env = {} } = this.#options;
    const created = findBase().then((base) => ({
      base,
      http: this.#http,
      retryPolicy: this.#options,
      authorizer: new Authorizer(this.#http, new URL(base), async (path) =>
        findCredentials(domain, path, env),
      ),
      warn: this.#warn,
    }));
    this.#endpoints.set(key, created);
    created.catch(() => this.#endpoints.delete(key));
    return created;
  }
}

/**
 * Returns the repository of a reference, with its registry. The owner of a name without one on a
 * default registry is a stranger: it most likely means a package or an image of this machine.
 * @throws NOT_FOUND for such a name
 */
export function requireRegistry(reference: Reference): Repository {
  const { domain, path } = reference;
  if (domain !== undefined) return { domain, path };
  const name = familiarReference(reference);
  throw new LktError('NOT_FOUND', `${name} names no registry`, {
    fix: `write the registry, such as ${formatReference(reference)}, or add a collection with the package to lkt.yml; for LinuxKit's configs, run: lkt migrate`,
  });
}

function checkedMirror(address: string, { insecure = [] }: RegistryOptions): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isSafe =
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' && (isLoopback(url.hostname) || insecure.includes(url.host)));
  if (isSafe) return address.replace(/\/+$/, '');
  throw new LktError('CONFIG_INVALID', 'a mirror must have an https URL', {
    fix: 'write it as https://mirror.example',
  });
}

/** Returns a function that emits each warning once. */
function warnOnce(reporter: Reporter): (text: string) => void {
  const emitted = new Set<string>();
  return (text) => {
    if (emitted.has(text) || emitted.size > 100) return;
    emitted.add(text);
    reporter.emit({ kind: 'warning', text });
  };
}
