import type { GraphNode } from '@lkt/image';

/** How it stands with a node, in words. */
export function statesOf({ kind, built, pinned, stale, signed }: GraphNode): readonly string[] {
  const there = { package: 'built', base: 'in the store', image: 'ready' }[kind];
  const missing = { package: 'not built', base: 'not in the store', image: 'not ready' }[kind];
  return [
    built ? there : missing,
    stale ? 'stale' : pinned ? 'pinned' : 'not pinned',
    ...(signed ? ['signed'] : []),
  ];
}

/** A name as short as it is still told from others by people: a digest takes the width of a line. */
export function shortName(name: string): string {
  return name.replace(/@sha256:([0-9a-f]{12})[0-9a-f]{52}$/, '@sha256:$1…');
}
