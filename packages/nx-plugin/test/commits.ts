import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Writes the files, with modes and links, as the whole work tree, and commits it. */
export function commit(
  dir: string,
  files: ReadonlyMap<string, string>,
  programs: ReadonlySet<string>,
): void {
  for (const name of readdirSync(dir))
    if (/^c\d/.test(name)) rmSync(join(dir, name), { recursive: true });
  for (const [path, text] of files) {
    const target = join(dir, path);
    mkdirSync(dirname(target), { recursive: true });
    const [, link] = /^-> (.*)/.exec(text) ?? [];
    if (link !== undefined) symlinkSync(link, target);
    else writeFileSync(target, text);
    if (programs.has(path)) chmodSync(target, 0o755);
  }
  git(dir, 'add', '--all');
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
  git(dir, ...identity, 'commit', '-qm.', '--allow-empty');
}

/**
 * Runs git without background maintenance, which removes object folders that a commit writes to.
 */
export function git(dir: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-c', 'gc.auto=0', '-c', 'maintenance.auto=false', ...args], {
    cwd: dir,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
}

/** Returns the ids of all trees in the commit, by path. */
export function trees(dir: string): ReadonlyMap<string, string> {
  const lines = git(dir, 'ls-tree', '-r', '-d', '-t', 'HEAD').trimEnd().split('\n');
  return new Map(
    lines.map((line) => {
      const [, id = '', path = ''] = /^\d+ tree (\S+)\t(.*)$/.exec(line) ?? [];
      return [path, id] as const;
    }),
  );
}
