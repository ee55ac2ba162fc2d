import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { packageDocuments } from './main.ts';

/** An entry of `lkt inspect --files --json`. */
interface ImageEntry {
  readonly path: string;
  readonly type: string;
  readonly target?: string;
}

/** Directories with more files are counted. */
const MAX_NAMED = 8;

/** The links of a merged /usr, which every image with a shell has. */
const MERGED: ReadonlySet<string> = new Set(['/bin', '/lib', '/lib64', '/sbin']);
const SHARED_LIBRARY = /^\/usr\/lib.*\.so(?:\.[\d.]+)?$/;

/**
 * Returns a list of the files of an image, for a page: full directories and
 * shared libraries are one item. Leaves out the links of a merged /usr.
 */
export function fileLines(all: readonly ImageEntry[]): readonly string[] {
  const libraries = all.filter(({ path }) => SHARED_LIBRARY.test(path));
  const entries = all.filter(
    ({ path, target }) =>
      !SHARED_LIBRARY.test(path) && !(MERGED.has(path) && target?.startsWith('usr/') === true),
  );
  const parents = new Set(all.map(({ path }) => posix.dirname(path)));
  const shown = entries.filter(({ path, type }) => type !== 'directory' || !parents.has(path));
  const groups = Map.groupBy(shown, ({ path }) => posix.dirname(path));
  const lines = [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([parent, items]) =>
      items.length > MAX_NAMED
        ? [`- \`${parent}/\`: ${items.length} entries`]
        : items.map(({ path, type, target }) => {
            const name = type === 'directory' ? `${path}/` : path;
            return target === undefined ? `- \`${name}\`` : `- \`${name}\` → \`${target}\``;
          }),
    );
  return libraries.length === 0 ? lines : [...lines, `- shared libraries: ${libraries.length}`];
}

/** Returns the entries in the output of `lkt inspect --files --json`. */
export function filesOf(json: string): readonly ImageEntry[] {
  const { contents } = JSON.parse(json) as {
    readonly contents: { readonly files: readonly ImageEntry[] };
  };
  return contents.files;
}

/** Returns the names of packages that have a page. */
export function documentedPackages(root: string): readonly string[] {
  return globSync('pkg/*/build.yml', { cwd: root })
    .map((path) => dirname(path).slice('pkg/'.length))
    .filter((name) => existsSync(join(root, `docs/packages/${name}.md`)))
    .toSorted();
}

if (import.meta.main) {
  // Writes the files of the packages as they are built now.
  const root = join(import.meta.dirname, '../..');
  const lkt = (...args: readonly string[]): string =>
    execFileSync(join(root, 'lkt'), args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  const names = documentedPackages(root);
  lkt('pkg', 'build', ...names.map((name) => `pkg/${name}`));
  const lines = new Map(
    names.map((name) => {
      const text = lkt('inspect', '--files', '--json', `pkg/${name}`);
      return [name, fileLines(filesOf(text))];
    }),
  );
  for (const [path, text] of packageDocuments(root, (name) => lines.get(name) ?? []))
    if (readFileSync(join(root, path), 'utf8') !== text) writeFileSync(join(root, path), text);
}
