import {
  answersTlsWithHttp,
  type HttpClient,
  isLoopback,
  NetworkError,
  type RetryPolicy,
} from '@lkt/http';
import type { RegistryOptions } from './options.ts';

/** A registry as a machine: how to speak to it. */
export interface Server {
  /** Without a slash at the end. */
  readonly base: string;
  readonly http: HttpClient;
  readonly retryPolicy: RetryPolicy;
}

const DOCKER_HUB = 'registry-1.docker.io';

/**
 * Finds out how to speak to the registry of a domain. https, always; but this machine, and what the user has called
 * insecure, may speak http. A certificate that is wrong is no reason to.
 */
export async function findServer(
  domain: string,
  http: HttpClient,
  options: RegistryOptions,
): Promise<Server> {
  const host = domain === 'docker.io' ? DOCKER_HUB : domain;
  const isInsecure = options.insecure?.includes(domain) === true;
  const secure = `https://${host}`;
  const isLocal = isLoopback(new URL(secure).hostname);
  if (!isInsecure && !isLocal) return { base: secure, http, retryPolicy: options };
  // No proxy is between.
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
