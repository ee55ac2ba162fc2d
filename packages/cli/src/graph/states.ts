import type { GraphNode } from '@lkt/image';

/** Returns the states of a node as text. */
export function statesOf({
  kind,
  built,
  pulled,
  pinned,
  stale,
  signed,
}: GraphNode): readonly string[] {
  const there = { package: 'built', base: 'in the store', image: 'ready' }[kind];
  const missing = { package: 'not built', base: 'not in the store', image: 'not ready' }[kind];
  return [
    pulled === true ? 'pulled' : built ? there : missing,
    stale ? 'stale' : pinned ? 'pinned' : 'not pinned',
    ...(signed ? ['signed'] : []),
  ];
}

/** Shortens the digest in a name, keeping the name distinguishable. */
export function shortName(name: string): string {
  return name.replace(/@sha256:([0-9a-f]{12})[0-9a-f]{52}$/, '@sha256:$1…');
}
