import { LktError, type LktErrorCode } from './errors.ts';

/**
 * Returns JSON without blanks and with object keys in byte order, so that equal values yield equal
 * text for hashing.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/**
 * Parses JSON in UTF-8 and returns the result of `read`, which validates it.
 * @param what the document, for the message: "not a valid image manifest"
 * @throws LktError with this code if the JSON is invalid or `read` throws an Error
 */
export function readJson<T>(
  bytes: Uint8Array,
  read: (value: unknown) => T,
  {
    code,
    what,
    fix,
  }: { readonly code: LktErrorCode; readonly what: string; readonly fix?: string },
): T {
  try {
    return read(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    if (cause instanceof LktError || !(cause instanceof Error)) throw cause;
    throw new LktError(code, `${what}: ${cause.message}`, { cause, fix });
  }
}
