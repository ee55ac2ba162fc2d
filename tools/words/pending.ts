/** Paths whose texts are not rewritten yet: their findings do not count. The list only shrinks. */
export const PENDING: readonly string[] = [
  'CONTRIBUTING.md',
  'README.md',
  'docs/cli.md',
  'docs/decisions/0005',
  'examples/',
  'kernel/',
  'lkt',
  'packages/',
  'pkg/',
  'tools/',
  'vitest',
];
