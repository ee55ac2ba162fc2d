import {
  answersTlsWithHttp,
  type HttpClient,
  isLoopback,
  NetworkError,
  type RetryPolicy,
} from '@lkt/http';
import type { Authorizer } from './auth/authorizer.ts';
import type { RegistryOptions } from './options.ts';

/** The access to a registry or mirror, shared by its repositories. */
export interface Endpoint {
  /** The address in front of `/v2/`, without a trailing slash. */
  readonly base: string;
  readonly http: HttpClient;
  readonly retryPolicy: RetryPolicy;
  readonly authorizer: Authorizer;
  readonly warn: (text: string) => void;
}

const DOCKER_HUB = 'registry-1.docker.io';

/**
 * Resolves the address of a registry: https, except that loopback addresses and registries marked
 * as insecure may use http. An invalid certificate does not cause a fallback to http.
 */
export async function resolveAddress(
  domain: string,
  http: HttpClient,
  { insecure = [] }: RegistryOptions,
): Promise<string> {
  const host = domain === 'docker.io' ? DOCKER_HUB : domain;
  const secure = `https://${host}`;
  const isLocal = isLoopback(new URL(secure).hostname);
  if (!insecure.includes(domain) && !isLocal) return secure;
  // Loopback requests never use a proxy, so the probe is direct as well.
  if (isLocal && (await answersTlsWithHttp(new URL(secure)))) return `http://${host}`;
  try {
    await (await http.request(`${secure}/v2/`, { redirect: false })).discard();
    return secure;
  } catch (error) {
    if (!(error instanceof NetworkError) || error.speaksTls) throw error;
    return `http://${host}`;
  }
}
