/** Names of projects by their directories: `pkg/sshd` is `pkg-sshd`, unless that is the name of another one too. */
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
