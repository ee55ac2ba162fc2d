import { LktError } from '@lkt/core';
import { isLoopback } from './address.ts';
import type { HttpOptions } from './options.ts';
import { MIN_SPEED } from '@lkt/core';
import type { Transport } from './transport.ts';

const IDLE_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 15_000;

/** The transports in use: with or without proxy, with or without TLS. */
export class Transports implements AsyncDisposable {
  readonly #options: HttpOptions;
  readonly #open = new Map<string, Promise<Transport>>();

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /**
   * Returns the transport for an address.
   * @throws CONFIG_INVALID if a variable names an invalid proxy or certificate file
   */
  async to({ protocol, hostname }: URL): Promise<Transport> {
    const isSecure = protocol === 'https:';
    // Like curl and Go: the proxy for http is not used for https, and none for loopback addresses.
    const proxy = isLoopback(hostname)
      ? ''
      : this.variable(isSecure ? 'https_proxy' : 'http_proxy');
    const key = `${isSecure} ${proxy !== ''}`;
    const open = this.#open.get(key) ?? this.#connect(isSecure, proxy);
    this.#open.set(key, open);
    return open;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const one of open) if (one.status === 'fulfilled') await one.value.close();
  }

  /** Returns a variable in lower case, else in upper case; empty without both. */
  variable(name: string): string {
    const { env = {} } = this.#options;
    return (env[name] ?? env[name.toUpperCase()] ?? '').trim();
  }

  async #connect(isSecure: boolean, proxy: string): Promise<Transport> {
    const { idle = IDLE_TIMEOUT_MS, minSpeed = MIN_SPEED, connections = 8 } = this.#options;
    // Loaded on demand, as they take a while.
    const secureContext =
      isSecure || proxy !== ''
        ? await (await import('./certificates.ts')).trustedAuthorities(this.#options)
        : undefined;
    if (proxy === '') {
      const { DirectTransport } = await import('./direct-transport.ts');
      return new DirectTransport({ connections, idle, minSpeed, secureContext });
    }
    const { ProxyTransport } = await import('./proxy-transport.ts');
    const { proxyAgent } = await import('./undici.ts');
    const address = proxy.includes('://') ? proxy : `http://${proxy}`;
    // One HTTP/2 stream is slower than several connections.
    const tls = { timeout: CONNECT_TIMEOUT_MS, allowH2: false, secureContext };
    try {
      const agent = proxyAgent({
        connections,
        headersTimeout: idle,
        bodyTimeout: idle,
        allowH2: false,
        connect: tls,
        requestTls: tls,
        proxyTls: tls,
        httpProxy: isSecure ? '' : address,
        httpsProxy: isSecure ? address : '',
        noProxy: this.variable('no_proxy'),
      });
      return new ProxyTransport(agent, minSpeed);
    } catch {
      // The cause would reveal the address, and with it a password.
      throw new LktError(
        'CONFIG_INVALID',
        `${isSecure ? 'HTTPS_PROXY' : 'HTTP_PROXY'} is not a proxy address`,
        { fix: 'set it to an address such as http://proxy.example:3128' },
      );
    }
  }
}
