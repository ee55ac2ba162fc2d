import { LktError } from '@lkt/core';
import type { Remote } from './remote.ts';

/** Errors of a mirror after which the next source is asked. */
const FALLBACK_CODES: ReadonlySet<string> = new Set([
  'ACCESS_DENIED',
  'DIGEST_MISMATCH',
  'NETWORK_FAILED',
  'NOT_FOUND',
]);

/**
 * Asks the sources of a repository in order: mirrors, then the registry. The error of the last one,
 * the registry, is final.
 * @returns the first answer; undefined if no source has what is asked for
 */
export async function tryRemotes<T>(
  remotes: readonly (() => Promise<Remote>)[],
  signal: AbortSignal | undefined,
  ask: (remote: Remote) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const [index, remote] of remotes.entries()) {
    try {
      const result = await ask(await remote());
      if (result !== undefined) return result;
    } catch (error) {
      signal?.throwIfAborted();
      const isLast = index === remotes.length - 1;
      if (isLast || !(error instanceof LktError) || !FALLBACK_CODES.has(error.code)) throw error;
    }
  }
  return undefined;
}

/** Returns the error for an image or repository that no source has. */
export function notInRegistry(name: string): LktError {
  const fix = name.includes('@')
    ? 'if its tag has another digest now, write that: lkt pin --update'
    : 'check its name and tag, and whether it was pushed';
  return new LktError('NOT_FOUND', `${name} is not in the registry`, { fix });
}
