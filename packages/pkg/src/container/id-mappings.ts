import { integer, list, withDefault, record, type YamlType } from '@lkt/core';

/** Ids of a container that are others outside of its user namespace. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

const ID = integer(0, 2 ** 32 - 1);
/** The highest id; the next number means none. */
const MAX_ID = 2 ** 32 - 2;

/** The most ranges of a map (linux/user_namespace.h). */
const MAX_RANGES = 340;

/** Parses mappings as user_namespaces(7) requires them: filled, and each id once. */
export const ID_MAPPINGS: YamlType<readonly IdMapping[]> = list(
  record({
    containerID: withDefault(ID, 0, 'first id in the container'),
    hostID: withDefault(ID, 0, 'first id outside'),
    size: withDefault(ID, 0, 'number of ids'),
  }).transform((range, at) => {
    if (range.size === 0) throw at.error('the range is empty', { fix: 'set "size"' });
    for (const first of [range.containerID, range.hostID])
      if (first + range.size - 1 > MAX_ID)
        throw at.error(`the range goes beyond ${MAX_ID}, the highest id`, { fix: 'shorten it' });
    return range;
  }),
).transform((ranges, value) => {
  if (ranges.length > MAX_RANGES)
    throw value.error(`there are ${ranges.length} ranges, and Linux takes ${MAX_RANGES}`, {
      fix: 'join ranges that follow each other',
    });
  const items = value.list();
  for (const [index, range] of ranges.entries())
    for (const [key, whose] of [
      ['containerID', 'container'],
      ['hostID', 'machine'],
    ] as const) {
      const last = range[key] + range.size - 1;
      const isTwice = ranges
        .slice(0, index)
        .some((other) => other[key] <= last && range[key] < other[key] + other.size);
      if (isTwice)
        throw (items[index] ?? value).error(
          `the ids ${range[key]} to ${last} of the ${whose} are mapped twice`,
          { fix: 'let the ranges not overlap' },
        );
    }
  return ranges;
});
