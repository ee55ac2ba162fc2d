import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A directory of a package, or of Go code that packages share, or an example. */
interface Source {
  /** Relative to the checkout. */
  readonly path: string;
  /** The name of the directory or file, and that of its image without the organization. */
  readonly names: readonly string[];
  /** The paths of those that it names. */
  readonly uses: readonly string[];
}

/** How files name a package: by its image or its directory. */
const REFERENCE = /(?:\blkt\/|\b(?:pkg|kernel|tools)\/|\.\.\/)([a-z0-9_-]+)/g;

/** A line of a comment in TypeScript, Go, C, YAML or a Dockerfile. */
const COMMENT = /^\s*(?:\/\/|\/?\*|# ).*$/gm;

/** Texts that name whole directories of packages or examples, or all files of a checkout. */
const ENUMERATES: readonly RegExp[] = [
  /\b(?:pkg|kernel|tools|examples)[\w,{}]*\/\*/,
  // A variable after the directory has a name that another text of the test has.
  /['"`](?!@lkt\/)[^'"`\s]*\/(?:pkg|kernel|tools|examples)\/?['"`](?!, \w+\))/,
  /join\(\w+, ['"`](?:pkg|kernel|tools|examples)['"`]\)/,
  /['"`]\*\*?\/[^'"`]*['"`], \{ cwd: (?:root|top)\b/,
  /\bfilesOf\(|\bls-files\b/,
  // Commands that read the packages or configs of a whole checkout.
  /(?:['"`]|\blkt )(?:ci|collection|graph|outdated|pin|update)['"`\s]/,
];

/**
 * Returns the packages and examples that no test with such a text reaches: the text has not their
 * names, nor have those that it names. `lkt` itself names some.
 *
 * @param root of the checkout
 * @param text of a test and its helpers
 */
export function unnamedSources(root: string, text: string): readonly string[] {
  if (ENUMERATES.some((one) => one.test(text))) return [];
  const sources = guestSources(root);
  const isNamed = ({ names }: Source): boolean =>
    names.some((name) => new RegExp(`\\b${name}\\b`).test(text));
  const byPath = new Map(sources.map((one) => [one.path, one]));
  const reached = new Set([
    ...sources.filter(isNamed).map(({ path }) => path),
    ...usedByLkt(root, sources),
  ]);
  for (const path of reached) for (const used of byPath.get(path)?.uses ?? []) reached.add(used);
  return sources.map(({ path }) => path).filter((path) => !reached.has(path));
}

/**
 * Reports whether a file belongs to one of the paths. Each build reads which images all `build.yml`
 * declare.
 */
export function belongsTo(file: string, paths: ReadonlySet<string>): boolean {
  if (basename(file) === 'build.yml') return false;
  return paths.has(file) || paths.has(file.split('/', 2).join('/'));
}

const results = new Map<string, readonly Source[]>();

function guestSources(root: string): readonly Source[] {
  const known = results.get(root);
  if (known !== undefined) return known;
  const directories = new Set([
    ...globSync('{pkg,kernel,examples}/*/', { cwd: root }).filter((path) => !path.endsWith('.md')),
    ...globSync('tools/*/build.yml', { cwd: root }).map(dirname),
  ]);
  const examples = globSync('examples/*.yml', { cwd: root });
  const texts = new Map([
    ...[...directories].map((path) => [path, textOf(root, path)] as const),
    ...examples.map((path) => [path, read(root, path)] as const),
  ]);
  const names = new Map([...texts.keys()].map((path) => [path, namesOf(root, path)]));
  const sources = [...texts].map(([path, text]) => ({
    path,
    names: names.get(path) ?? [],
    uses: referenced(text, names),
  }));
  results.set(root, sources);
  return sources;
}

function namesOf(root: string, path: string): readonly string[] {
  if (path.endsWith('.yml')) return [basename(path, '.yml')];
  const file = join(path, 'build.yml');
  const text = existsSync(join(root, file)) ? read(root, file) : '';
  return [basename(path), ...[...text.matchAll(/^image: (\S+)/gm)].map(([, name = '']) => name)];
}

function referenced(
  text: string,
  names: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const found = new Set(
    [...text.replaceAll(COMMENT, '').matchAll(REFERENCE)].map(([, name = '']) => name),
  );
  return [...names].filter(([, of]) => of.some((name) => found.has(name))).map(([path]) => path);
}

/**
 * The name of a package that lkt itself uses, such as the boot loaders of disks. Help and messages
 * name more.
 */
const OWN = /['"`]lkt\/([\w-]+)(?:['"`]|:[0-9a-f]{40}@)/g;

function usedByLkt(root: string, sources: readonly Source[]): readonly string[] {
  const files = globSync('packages/*/src/**/*.ts', { cwd: root });
  const text = files.map((path) => read(root, path)).join('\n');
  const found = new Set(
    [...text.replaceAll(COMMENT, '').matchAll(OWN)].map(([, name = '']) => name),
  );
  return sources
    .filter(({ names }) => names.some((name) => found.has(name)))
    .map((one) => one.path);
}

function textOf(root: string, directory: string): string {
  return globSync(`${directory}/**/*`, { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
