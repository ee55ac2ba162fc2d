import { isDeep } from '@lkt/core';

/** A value of a config that differs. */
export interface ValueChange {
  /** `services[sshd].readonly`; for an item of a list of strings `capabilities[CAP_CHOWN]` */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * Returns the differences of two JSON values. Items of a list are matched by `name`, `path` or
 * `destination`, and distinct strings by themselves, unless many differ. Other lists and the words
 * of a command are compared as a whole. JSON objects in strings, as in labels, are compared by
 * their fields.
 */
export function compareValues(before: unknown, after: unknown, path = ''): readonly ValueChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const isCommand = COMMAND.test(path);
  const old = isCommand ? undefined : fieldsOf(before);
  const now = isCommand ? undefined : fieldsOf(after);
  if (old === undefined || now === undefined) return [{ path, before, after }];
  const changes = [...new Set([...old.keys(), ...now.keys()])].flatMap((key) =>
    compareValues(
      old.get(key),
      now.get(key),
      key.startsWith('[') || path === '' ? `${path}${key}` : `${path}.${key}`,
    ),
  );
  if (isStrings(before) && isStrings(after) && changes.length > MAX_ITEMS)
    return [{ path, before, after }];
  // Equal items in a different order.
  return changes.length === 0 ? [{ path: `${path} (order)`, before, after }] : changes;
}

/** A list with more different strings is compared as a whole. */
const MAX_ITEMS = 8;

/** Paths of lists whose order matters. */
const COMMAND = /(?:^|\.)(?:args|cmd|command|entrypoint)$/i;

/** Returns the fields of a value by key; undefined for a value that is compared as a whole. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (Array.isArray(value)) return itemsOf(value as unknown[]);
  if (typeof value === 'string' && value.startsWith('{')) return fieldsOf(parsed(value));
  if (typeof value !== 'object' || value === null) return undefined;
  return new Map(Object.entries(value).filter(([, item]) => item !== undefined && item !== null));
}

/** Returns the value of JSON text; undefined for other text, and if it has too many levels. */
function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isDeep(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

function itemsOf(list: readonly unknown[]): ReadonlyMap<string, unknown> | undefined {
  const items = new Map<string, unknown>();
  if (isStrings(list) && new Set(list).size === list.length)
    return new Map(list.map((item) => [`[${item}]`, item]));
  for (const item of list) {
    const name = itemName(item);
    if (name === undefined) return undefined;
    let key = `[${name}]`;
    for (let count = 2; items.has(key); count += 1) key = `[${name} #${count}]`;
    items.set(key, item);
  }
  return items;
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function itemName(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { name, path, destination } = item as Readonly<Record<string, unknown>>;
  const found = name ?? path ?? destination;
  return typeof found === 'string' ? found : undefined;
}
