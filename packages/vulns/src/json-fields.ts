/** Returns an object's fields; undefined for any other value. */
export function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Returns the items of a list; empty for any other value. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** Returns a text; undefined for any other value. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Returns the texts of a list, without its other values. */
export function texts(value: unknown): readonly string[] {
  return items(value).filter((item) => typeof item === 'string');
}
