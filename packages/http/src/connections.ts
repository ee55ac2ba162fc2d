import type { SecureContext } from 'node:tls';
import { LktError } from '@lkt/core';
import { isLoopback } from './address.ts';
import type { HttpOptions } from './client.ts';
import type { Transport } from './transport.ts';

const IDLE = 60_000;
const CONNECT = 15_000;

/** Connections that are open, by what they need: a proxy or none, certificates or none. */
export class Connections implements AsyncDisposable {
  readonly #options: HttpOptions;
  readonly #open = new Map<string, Promise<Transport>>();

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** @throws LktError CONFIG_INVALID when a variable names what cannot be a proxy or a file of certificates */
  async to({ protocol, hostname }: URL): Promise<Transport> {
    const isSecure = protocol === 'https:';
    // As curl and Go have it, the one for http is not used for https; nor any for the machine itself.
    const proxy = isLoopback(hostname)
      ? ''
      : this.#variable(isSecure ? 'https_proxy' : 'http_proxy');
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

  async #connect(isSecure: boolean, proxy: string): Promise<Transport> {
    const { idle = IDLE, connections = 8 } = this.#options;
    const secureContext = isSecure || proxy !== '' ? await authorities(this.#options) : undefined;
    if (proxy === '') {
      const { Direct } = await import('./direct.ts');
      return new Direct({ connections, idle, secureContext });
    }
    const { Proxied } = await import('./proxied.ts');
    const { proxyAgent } = await import('./undici.ts');
    const tls = {
      timeout: CONNECT,
      allowH2: false,
      ...(secureContext === undefined ? {} : { secureContext }),
    };
    // One stream of HTTP/2 is slower than several connections.
    const common = { connections, headersTimeout: idle, bodyTimeout: idle, allowH2: false };
    try {
      const agent = proxyAgent({
        ...common,
        connect: tls,
        requestTls: tls,
        proxyTls: tls,
        httpProxy: isSecure ? '' : proxyAddress(proxy),
        httpsProxy: isSecure ? proxyAddress(proxy) : '',
        noProxy: this.#variable('no_proxy'),
      });
      return new Proxied(agent);
    } catch {
      // The cause would show the address, and with it a password.
      throw new LktError(
        'CONFIG_INVALID',
        `${isSecure ? 'HTTPS_PROXY' : 'HTTP_PROXY'} is not the address of a proxy`,
        { fix: 'set it to an address such as http://proxy.example:3128' },
      );
    }
  }

  #variable(name: string): string {
    const { env = {} } = this.#options;
    return (env[name] ?? env[name.toUpperCase()] ?? '').trim();
  }
}

/** What reads certificates is loaded by who needs them. */
async function authorities(options: HttpOptions): Promise<SecureContext> {
  const { trustedAuthorities } = await import('./certificates.ts');
  return trustedAuthorities(options);
}

function proxyAddress(text: string): string {
  return text.includes('://') ? text : `http://${text}`;
}
