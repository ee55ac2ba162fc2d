/**
 * Returns one item for each key, in the order of the keys' first items. Of several items with a key
 * the last one stays.
 * @example
 * ```ts
 * const layers = uniqueBy([...base, ...own], ({ digest }) => digest);
 * ```
 */
export function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
