/** A value of a config that differs. */
export interface ValueChange {
  /** `services[sshd].capabilities[0]` */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * Returns the differences of two JSON values. Items of a list are matched by `name`, `path` or
 * `destination`; a list with other items is compared as a whole.
 */
export function compareValues(before: unknown, after: unknown, path = ''): readonly ValueChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const old = fieldsOf(before);
  const now = fieldsOf(after);
  if (old === undefined || now === undefined) return [{ path, before, after }];
  const changes = [...new Set([...old.keys(), ...now.keys()])].flatMap((key) =>
    compareValues(
      old.get(key),
      now.get(key),
      key.startsWith('[') || path === '' ? `${path}${key}` : `${path}.${key}`,
    ),
  );
  // Equal items in a different order.
  return changes.length === 0 ? [{ path: `${path} (order)`, before, after }] : changes;
}

/** Returns the fields of a value by key; undefined for a value that is compared as a whole. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (Array.isArray(value)) return itemsOf(value as unknown[]);
  if (typeof value !== 'object' || value === null) return undefined;
  return new Map(Object.entries(value).filter(([, item]) => item !== undefined && item !== null));
}

function itemsOf(list: readonly unknown[]): ReadonlyMap<string, unknown> | undefined {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const name = itemName(item);
    if (name === undefined) return undefined;
    let key = `[${name}]`;
    for (let count = 2; items.has(key); count += 1) key = `[${name} #${count}]`;
    items.set(key, item);
  }
  return items;
}

function itemName(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { name, path, destination } = item as Readonly<Record<string, unknown>>;
  const found = name ?? path ?? destination;
  return typeof found === 'string' ? found : undefined;
}
