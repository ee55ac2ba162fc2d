/** A value of Go's encoding/json; bigint is for uint64 values beyond a number. */
export type GoValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly GoValue[]
  | { readonly [key: string]: GoValue | undefined };

/**
 * Formats JSON as Go's `json.MarshalIndent(value, "", "    ")` does: indented by four, `<`, `>`,
 * `&`, U+2028 and U+2029 escaped, no final newline. Keeps the order of keys and leaves out
 * undefined.
 */
export function goJson(value: GoValue, indent = ''): string {
  if (typeof value === 'string') return goString(value);
  if (typeof value !== 'object' || value === null) return String(value);
  return isList(value) ? goList(value, indent) : goObject(value, indent);
}

/** Returns a copy with keys in byte order, as Go writes maps. */
export function goMap<V>(map: Readonly<Record<string, V>>): Record<string, V> {
  return Object.fromEntries(
    Object.entries(map).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
}

function goString(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => String.raw`\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function goList(list: readonly GoValue[], indent: string): string {
  if (list.length === 0) return '[]';
  const inner = `${indent}    `;
  return `[\n${list.map((item) => inner + goJson(item, inner)).join(',\n')}\n${indent}]`;
}

function goObject(object: { readonly [key: string]: GoValue | undefined }, indent: string): string {
  const inner = `${indent}    `;
  const lines: string[] = [];
  for (const [key, value] of Object.entries(object)) {
    if (value !== undefined) lines.push(`${inner}${goString(key)}: ${goJson(value, inner)}`);
  }
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`;
}

function isList(
  value: readonly GoValue[] | { readonly [key: string]: GoValue | undefined },
): value is readonly GoValue[] {
  return Array.isArray(value);
}
