import {
  answersTlsWithHttp,
  type HttpClient,
  isLoopback,
  NetworkError,
  type RetryPolicy,
} from '@lkt/http';
import type { RegistryOptions } from './options.ts';

/** The endpoint of a registry. */
export interface Endpoint {
  /** Without a trailing slash. */
  readonly base: string;
  readonly http: HttpClient;
  readonly retryPolicy: RetryPolicy;
}

const DOCKER_HUB = 'registry-1.docker.io';

/**
 * Resolves the endpoint of a registry: https, except that loopback addresses and registries marked
 * as insecure may use http. An invalid certificate does not cause a fallback to http.
 */
export async function resolveEndpoint(
  domain: string,
  http: HttpClient,
  options: RegistryOptions,
): Promise<Endpoint> {
  const host = domain === 'docker.io' ? DOCKER_HUB : domain;
  const isInsecure = options.insecure?.includes(domain) === true;
  const secure = `https://${host}`;
  const isLocal = isLoopback(new URL(secure).hostname);
  if (!isInsecure && !isLocal) return { base: secure, http, retryPolicy: options };
  // Loopback requests never use a proxy, so the probe is direct as well.
  if (isLocal && (await answersTlsWithHttp(new URL(secure))))
    return { base: `http://${host}`, http, retryPolicy: options };
  try {
    await (await http.request(`${secure}/v2/`, { redirect: false })).discard();
    return { base: secure, http, retryPolicy: options };
  } catch (error) {
    if (!(error instanceof NetworkError) || error.speaksTls) throw error;
    return { base: `http://${host}`, http, retryPolicy: options };
  }
}
