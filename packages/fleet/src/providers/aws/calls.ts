import { ProviderError } from '../../provider.ts';
import { awsError } from './failure.ts';

const MAX_PAGES = 500;

/** Makes a call. @throws ProviderError */
export async function awsCall<T>(
  what: string,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  return run(signal).catch((error: unknown) => {
    throw awsError(what, error, signal);
  });
}

/**
 * Returns a list of a response. AWS states an empty one too; without it nothing is known, and
 * machines would seem to be gone. @throws ProviderError `malformed`
 */
export function requiredList<T>(what: string, list: readonly T[] | undefined): readonly T[] {
  if (list !== undefined) return list;
  throw new ProviderError('malformed', `aws: ${what}: the response has no list`);
}

/** Reads pages until the last. @throws ProviderError, also `malformed` for too many */
export async function awsPages(
  what: string,
  signal: AbortSignal,
  read: (
    token: { readonly NextToken?: string },
    signal: AbortSignal,
  ) => Promise<string | undefined>,
): Promise<void> {
  let token: { readonly NextToken?: string } = {};
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const next = await awsCall(what, signal, async (abortSignal) => read(token, abortSignal));
    if (next === undefined || next === '') return;
    token = { NextToken: next };
  }
  throw new ProviderError('malformed', `aws: ${what} has more than ${MAX_PAGES} pages`);
}
