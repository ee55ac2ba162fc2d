/**
 * Returns project names by directory: `pkg-sshd` for `pkg/sshd`, unless two directories would share
 * the name.
 */
export function projectNames(dirs: ReadonlySet<string>): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  for (const dir of dirs) counts.set(short(dir), (counts.get(short(dir)) ?? 0) + 1);
  return new Map(
    [...dirs].map((dir) => [dir, (counts.get(short(dir)) ?? 0) > 1 ? dir : short(dir)]),
  );
}

function short(dir: string): string {
  return dir === '.' ? 'root' : dir.replaceAll('/', '-');
}
