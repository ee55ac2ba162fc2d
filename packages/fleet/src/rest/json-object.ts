/** An object of JSON that was not validated. */
export type JsonObject = Readonly<Record<string, unknown>>;

const MAX_MESSAGE_CHARS = 300;

/** Returns an object; empty for any other value. */
export function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : {};
}

/** Returns the objects of a list; empty for any other value. */
export function objectsOf(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly unknown[]).map(objectOf) : [];
}

/** Returns a text; empty for any other value. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Returns a service's text for use in an error message: one line of bounded length. */
export function wordsOf(value: unknown): string {
  return textOf(value)
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_CHARS);
}
