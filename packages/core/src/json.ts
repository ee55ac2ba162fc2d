import { duplicateKey } from './duplicate-key.ts';
import { LktError, type LktErrorCode } from './errors.ts';
import { isDeep, MAX_JSON_LEVELS } from './json-depth.ts';

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
 * @param isStrict also reject a byte order mark and an object that has a key twice
 * @throws LktError with this code if the JSON is invalid, has more than 200 levels or `read` throws
 * an Error
 */
export function readJson<T>(
  bytes: Uint8Array,
  read: (value: unknown) => T,
  {
    code,
    what,
    fix,
    isStrict = false,
  }: {
    readonly code: LktErrorCode;
    readonly what: string;
    readonly fix?: string;
    readonly isStrict?: boolean;
  },
): T {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: isStrict }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (isDeep(value)) throw new Error(`it has more than ${MAX_JSON_LEVELS} levels`);
    const key = isStrict ? duplicateKey(text) : undefined;
    if (key !== undefined) throw new Error(`it has the key ${JSON.stringify(key)} twice`);
    return read(value);
  } catch (cause) {
    if (cause instanceof LktError || !(cause instanceof Error)) throw cause;
    throw new LktError(code, `${what}: ${cause.message}`, { cause, fix });
  }
}
