import { createHash } from 'node:crypto';

const PREFIX_CHARS = 12;

/**
 * Returns a group's name at an engine that bounds names: 38 characters at most, and unique by a
 * hash.
 */
export function nameOf(fleet: string, group: string): string {
  const hash = createHash('sha256').update(`${fleet}\n${group}`).digest('hex').slice(0, 8);
  return `lkt-${fleet.slice(0, PREFIX_CHARS)}-${group.slice(0, PREFIX_CHARS)}-${hash}`;
}
