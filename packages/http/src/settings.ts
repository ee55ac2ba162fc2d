import { redactUrl } from './address.ts';
import { Transports } from './transports.ts';

/** The network settings of an environment, for display: without passwords. */
export interface HttpSettings {
  /** Address of the proxy by scheme; undefined without one. */
  readonly http: string | undefined;
  readonly https: string | undefined;
  /** Hosts that are asked without a proxy. */
  readonly noProxy: string;
  /** Files of certificate authorities. */
  readonly authorities: readonly string[];
}

/**
 * Reads the settings that every client uses, and validates them. Sends nothing.
 * @throws CONFIG_INVALID if a variable names an invalid proxy or certificate file
 */
export async function readHttpSettings(
  env: Readonly<Record<string, string | undefined>>,
): Promise<HttpSettings> {
  await using transports = new Transports({ env });
  for (const scheme of ['http', 'https']) await transports.to(new URL(`${scheme}://host.invalid`));
  const proxy = (name: 'http_proxy' | 'https_proxy'): string | undefined => {
    const address = transports.variable(name);
    if (address === '') return undefined;
    return redactUrl(address.includes('://') ? address : `http://${address}`);
  };
  return {
    http: proxy('http_proxy'),
    https: proxy('https_proxy'),
    noProxy: transports.variable('no_proxy'),
    authorities: [
      ...new Set(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'].map((name) => env[name] ?? '')),
    ].filter((path) => path !== ''),
  };
}
