import { canonicalJson } from '@lkt/core';

/** Returns each different item once, ordered by its canonical JSON. */
export function sortedUnique<T>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [canonicalJson(item), item]))]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, item]) => item);
}
