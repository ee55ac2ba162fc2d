import type { YamlValue } from '@lkt/core';

/**
 * What a piece of YAML must look like, and what Go's encoder would make of it: the keys of an object come out in the
 * order of its `fields`, whatever order they are written in.
 */
export type Shape =
  | 'string'
  | 'boolean'
  | 'integer'
  /** A user or group: a number, or the name of a container of the image config. */
  | 'id'
  | 'string map'
  | { readonly list: Shape }
  | { readonly fields: readonly Field[] };

export interface Field {
  readonly name: string;
  readonly shape: Shape;
  /**
   * `value`: left out when it is written but empty, as Go's `omitempty` does for anything but a pointer.
   * `always`: present even when it is not written, as its zero value.
   */
  readonly keep?: 'value' | 'always';
}

/**
 * Reads `value` as `shape` into plain data.
 * @throws LktError CONFIG_INVALID at the place of the first thing that does not fit.
 */
export function readShape(value: YamlValue, shape: Shape): unknown {
  if (typeof shape === 'object') {
    return 'list' in shape
      ? value.list().map((item) => readShape(item, shape.list))
      : readFields(value, shape.fields);
  }
  if (shape === 'string map') return readStringMap(value);
  if (shape === 'string') return value.text();
  if (shape === 'boolean') return value.boolean();
  return shape === 'id' && !value.isInteger() ? value.string() : value.integer();
}

function readFields(value: YamlValue, fields: readonly Field[]): Record<string, unknown> {
  const given = value.fields(fields.map((field) => field.name));
  const result: Record<string, unknown> = {};
  for (const { name, shape, keep } of fields) {
    const item = given[name];
    if (item === undefined || item.isNull()) {
      if (keep === 'always') result[name] = zeroValue(shape);
      continue;
    }
    const read = readShape(item, shape);
    if (keep === 'value' && isEmpty(read)) continue;
    result[name] = read;
  }
  return result;
}

/** Keys in byte order, as Go's encoder writes the keys of a map. */
function readStringMap(value: YamlValue): Record<string, string> {
  const entries = [...value.entries()].map(([key, item]) => [key, item.text()] as const);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
}

function zeroValue(shape: Shape): unknown {
  if (typeof shape === 'object') return 'list' in shape ? null : {};
  if (shape === 'string map') return null;
  if (shape === 'string') return '';
  return shape === 'boolean' ? false : 0;
}

function isEmpty(value: unknown): boolean {
  return (
    value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0)
  );
}
