import { LktError } from '@lkt/core';
import { createHttpClient, type HttpClient, type HttpOptions } from '@lkt/http';
import type { ArchiveName, Mirror } from './mirror.ts';

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of every piece that came in, and of what is taken back (a negative number) when it was of no use. */
  readonly onBytes?: (count: number) => void;
  /** `consume` is done with each piece before it asks for the next one; its memory may be used again. */
  readonly canReuseBuffers?: boolean;
}

/** A way to the addresses of a mirror, through the proxies of whoever looked for it. */
export function mirrorClient(
  { env = {} }: Mirror,
  options: Pick<HttpOptions, 'backoff' | 'idle' | 'connections'> = {},
): HttpClient {
  return createHttpClient({ idle: 30_000, ...options, env });
}

/**
 * Reads one file of an archive. `consume` gets its bytes, unchecked, once an address; what it returns is returned.
 *
 * A connection that breaks is taken up where it broke, and overload waited for; a file that is absent, or that
 * `consume` refuses, is looked for at the mirror's next address.
 * @throws LktError NOT_FOUND if no address has the file, NETWORK_FAILED, and what `consume` throws
 */
export async function download<T>(
  http: HttpClient,
  mirror: Mirror,
  archive: ArchiveName,
  path: string,
  consume: (content: AsyncIterable<Uint8Array>) => Promise<T>,
  { onBytes, ...options }: DownloadOptions = {},
): Promise<T> {
  const failures: LktError[] = [];
  for (const address of mirror.archives[archive]) {
    let received = 0;
    const count = (bytes: number): void => {
      received += bytes;
      onBytes?.(bytes);
    };
    try {
      const { content } = await http.download(`${address}/${path}`, { ...options, onBytes: count });
      return await consumed(content, consume);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (received > 0) onBytes?.(-received);
      if (!(error instanceof LktError) || !ELSEWHERE.has(error.code)) throw error;
      failures.push(error);
    }
  }
  const worst = failures.find(({ code }) => code !== 'NOT_FOUND') ?? failures[0];
  throw worst ?? new LktError('NOT_FOUND', `${mirror.source} names no address for ${archive}`);
}

const ELSEWHERE: ReadonlySet<string> = new Set([
  'NOT_FOUND',
  'NETWORK_FAILED',
  'DIGEST_MISMATCH',
  'SIGNATURE_INVALID',
]);

/** A consumer that fails before it has read anything leaves a connection that nobody else would give up. */
async function consumed<T>(
  content: AsyncIterable<Uint8Array>,
  consume: (content: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const parts = content[Symbol.asyncIterator]();
  try {
    return await consume({ [Symbol.asyncIterator]: () => parts });
  } finally {
    await parts.return?.();
  }
}
