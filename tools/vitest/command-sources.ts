import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The table of lkt's commands, which loads each only when it is run. */
const TABLE = 'packages/cli/src/commands.ts';
const ENTRY = /(?:'([a-z:-]+)'|\b([a-z]+)): async \(\) =>\s*\(await import\('(\.\/[^']+)'\)\)/g;

/** An import, and any other text that is the path of a source beside the file. */
const PATH = /['"`](\.{1,2}\/[^'"`\s]*?\.ts)['"`]/g;
const BESIDE = /import\.meta\.dirname,\s*['"`]([^'"`\s]+\.ts)['"`]/g;
const PACKAGE = /['"`](@lkt\/[a-z-]+(?:\/[\w/-]+)?)['"`]/g;

/** Arguments that load every command: help, and a topic without its command. */
const LOADS_ALL =
  /--help\b|['"`\s]-h\b|\bcompletion\b|\blkt\(\[(?:'(?:audit|cache|ci|collection|fleet|kernel|key|metadata|new|pkg|trust)')?\]/;

/**
 * Returns the sources that only some commands load, with the ids of those, such as `pkg:build`.
 * What every command loads is absent, and what no import leads to, such as a worker's program.
 *
 * @param root of the checkout
 */
export function commandSources(root: string): ReadonlyMap<string, ReadonlySet<string>> {
  const known = results.get(root);
  if (known !== undefined) return known;
  const found = new Map<string, Set<string>>();
  results.set(root, found);
  if (!existsSync(join(root, TABLE))) return found;
  const imports = new Map(
    globSync('packages/*/src/**/*.ts', { cwd: root }).map((path) => [path, importsOf(root, path)]),
  );
  const commands = new Map<string, string>();
  for (const [, quoted, word, path = ''] of read(root, TABLE).matchAll(ENTRY))
    commands.set(quoted ?? word ?? '', join(dirname(TABLE), path));
  const own = new Set(commands.values());
  imports.set(TABLE, imports.get(TABLE)?.filter((path) => !own.has(path)) ?? []);
  const always = reached('packages/cli/src/main.ts', imports);
  for (const [id, path] of commands)
    for (const source of reached(path, imports))
      if (!always.has(source)) found.set(source, (found.get(source) ?? new Set()).add(id));
  return found;
}

const results = new Map<string, ReadonlyMap<string, ReadonlySet<string>>>();

/** Reports whether a text that runs lkt has the words of a command. */
export function namesCommand(text: string, id: string): boolean {
  return (
    LOADS_ALL.test(text) || id.split(':').every((word) => new RegExp(`\\b${word}\\b`).test(text))
  );
}

function reached(
  start: string,
  imports: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const seen = new Set([start]);
  for (const path of seen) for (const next of imports.get(path) ?? []) seen.add(next);
  return seen;
}

function importsOf(root: string, path: string): readonly string[] {
  const text = read(root, path);
  const beside = [...text.matchAll(PATH), ...text.matchAll(BESIDE)].map(([, target = '']) =>
    join(dirname(path), target),
  );
  const packages = [...text.matchAll(PACKAGE)].flatMap(([, name = '']) => exported(root, name));
  return [...beside, ...packages];
}

/** Returns the source that an import such as `@lkt/oci/files` loads. */
function exported(root: string, name: string): readonly string[] {
  const [scope = '', short = '', ...rest] = name.split('/');
  const directory = join(root, 'packages', short);
  const manifest = join(directory, 'package.json');
  if (scope !== '@lkt' || !existsSync(manifest)) return [];
  const { exports = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    readonly exports?: Readonly<Record<string, string>>;
  };
  const target = exports[['.', ...rest].join('/')];
  return target === undefined ? [] : [relative(root, join(directory, target))];
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
