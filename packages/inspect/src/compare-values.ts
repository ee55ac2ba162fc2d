/** A value of a config that is not the same. */
export interface ValueChange {
  /** `services[sshd].capabilities[0]` */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * What differs in two values made of lists and mappings. Items of lists are known by their `name`, `path` or
 * `destination`, else by where they stand; lists of plain values are compared as a whole.
 */
export function compareValues(before: unknown, after: unknown, path = ''): readonly ValueChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const old = fieldsOf(before);
  const now = fieldsOf(after);
  if (old === undefined || now === undefined) return [changeOf(path, before, after)];
  const changes = [...new Set([...old.keys(), ...now.keys()])].flatMap((key) =>
    compareValues(
      old.get(key),
      now.get(key),
      key.startsWith('[') || path === '' ? `${path}${key}` : `${path}.${key}`,
    ),
  );
  // The same items in another order.
  return changes.length === 0 ? [changeOf(`${path} (order)`, before, after)] : changes;
}

function changeOf(path: string, before: unknown, after: unknown): ValueChange {
  return {
    path,
    before,
    after,
  };
}

/** What is in a value by name; undefined for one that is compared as it is. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (Array.isArray(value)) return itemsOf(value as unknown[]);
  if (typeof value !== 'object' || value === null) return undefined;
  return new Map(Object.entries(value).filter(([, item]) => item !== undefined && item !== null));
}

function itemsOf(list: readonly unknown[]): ReadonlyMap<string, unknown> | undefined {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const name = nameOf(item);
    if (name === undefined) return undefined;
    let key = `[${name}]`;
    for (let count = 2; items.has(key); count += 1) key = `[${name} #${count}]`;
    items.set(key, item);
  }
  return items;
}

function nameOf(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { name, path, destination } = item as Readonly<Record<string, unknown>>;
  const found = name ?? path ?? destination;
  return typeof found === 'string' ? found : undefined;
}
