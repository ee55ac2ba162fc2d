import { LktError } from '@lkt/core';
import { createHttpClient, type HttpClient, type HttpOptions } from '@lkt/http';
import type { ArchiveName, Mirror } from './mirror.ts';

/** Options of `download`. */
export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with the size of each chunk, and with a negative number when an address's chunks are
   * discarded.
   */
  readonly onBytes?: (count: number) => void;
  /** Whether a chunk's memory may be reused once `consume` requests the next chunk. */
  readonly canReuseBuffers?: boolean;
}

/** Returns an HTTP client with the mirror's proxies and certificates. */
export function mirrorClient(
  { env = {} }: Mirror,
  options: Pick<HttpOptions, 'backoff' | 'idle' | 'connections'> = {},
): HttpClient {
  return createHttpClient({ ...options, idle: options.idle ?? 30_000, env });
}

/**
 * Downloads a file of an archive and returns the result of `consume`, which gets the unverified
 * bytes once per address, and the archive's URL that they come from.
 *
 * Resumes a broken connection and waits when the server is overloaded. Tries the mirror's next
 * address if a file is missing or `consume` rejects it.
 * @throws NOT_FOUND if no address has the file; NETWORK_FAILED; the errors of `consume`
 */
export async function download<T>(
  http: HttpClient,
  mirror: Mirror,
  archive: ArchiveName,
  path: string,
  consume: (content: AsyncIterable<Uint8Array>, address: string) => Promise<T>,
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
      const content = await http.download(`${address}/${path}`, { ...options, onBytes: count });
      return await consumeAndClose(content, async (parts) => consume(parts, address));
    } catch (error) {
      options.signal?.throwIfAborted();
      if (received > 0) onBytes?.(-received);
      if (!(error instanceof LktError) || !TRY_NEXT_ADDRESS.has(error.code)) throw error;
      failures.push(error);
    }
  }
  const worst = failures.find(({ code }) => code !== 'NOT_FOUND') ?? failures[0];
  if (worst?.code === 'NETWORK_FAILED')
    throw new LktError('NETWORK_FAILED', worst.message, {
      cause: worst.cause,
      fix: [...(worst.fix === undefined ? [] : [worst.fix]), ANOTHER_MIRROR].join('; or '),
    });
  throw worst ?? new LktError('NOT_FOUND', `${mirror.source} has no URL for ${archive}`);
}

const ANOTHER_MIRROR = 'set LKT_DEBIAN_MIRROR to another mirror';

const TRY_NEXT_ADDRESS: ReadonlySet<string> = new Set([
  'NOT_FOUND',
  'NETWORK_FAILED',
  'DIGEST_MISMATCH',
  'SIGNATURE_INVALID',
  'OUTDATED',
]);

/** Closes the connection even if `consume` fails before its first read. */
async function consumeAndClose<T>(
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
