import type { YamlType } from '@lkt/core';

/**
 * Returns a list type that rejects a second item with the key of another.
 * @param keyOf undefined for an item that may occur several times
 * @param problem the message for a key
 */
export function distinct<T>(
  type: YamlType<readonly T[]>,
  keyOf: (item: T) => string | undefined,
  problem: (key: string) => string,
): YamlType<readonly T[]> {
  return type.transform((items, value) => {
    const seen = new Set<string>();
    const places = value.list();
    for (const [index, item] of items.entries()) {
      const key = keyOf(item);
      if (key === undefined) continue;
      if (seen.has(key)) throw (places[index] ?? value).error(problem(key), { fix: 'remove one' });
      seen.add(key);
    }
    return items;
  });
}
