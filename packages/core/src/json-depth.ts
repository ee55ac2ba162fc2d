/** Levels of a document. SPDX has 4; CycloneDX has 2 for each component in a component. */
export const MAX_JSON_LEVELS = 200;

/**
 * Reports whether a value has more than 200 levels of lists and objects. `JSON.parse` accepts any
 * number of them, but recursive functions such as `JSON.stringify` run out of stack.
 */
export function isDeep(value: unknown, levels: number = MAX_JSON_LEVELS): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isDeep(item, levels - 1));
  // Ten times as fast as a list of all values.
  for (const key in value)
    if (isDeep((value as Readonly<Record<string, unknown>>)[key], levels - 1)) return true;
  return false;
}
