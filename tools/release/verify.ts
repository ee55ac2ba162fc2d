import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readPackageJson } from './files.ts';
import { packagesIn } from './imports.ts';
import type { Staged } from './release.ts';

/** The fields of a published `package.json` that name files or packages. */
interface Published {
  readonly name: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly main?: string;
  readonly exports?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Most bytes that a package takes when it is installed. */
const MAX_BYTES = 10 * 2 ** 20;

const COMMON = ['package.json', 'README.md', 'LICENSE'];

/** Names that no published file has, whatever its package allows. */
const NEVER =
  /(^|\/)(\.|node_modules\/|tests?\/)|\.(test|spec)\.|\.(map|ts(?<!\.d\.ts)|tsbuildinfo)$/;

/**
 * Returns what is wrong with the files of a package, as sentences; empty if nothing is.
 * @param paths the files that npm packs
 * @param root the checkout, whose path no file may contain
 * @param published names of all packages of the release
 */
export function problemsOf(
  { directory, files, mayImport = [] }: Staged,
  paths: readonly string[],
  root: string,
  published: readonly string[],
): readonly string[] {
  const expected = [...COMMON, ...files];
  const isExpected = (path: string): boolean =>
    !NEVER.test(path) && expected.some((pattern) => matches(pattern, path));
  const packageJson = readPackageJson(directory, 'package.json') as unknown as Published;
  const size = paths.reduce((sum, path) => sum + statSync(join(directory, path)).size, 0);
  return [
    ...paths.filter((path) => !isExpected(path)).map((path) => `${path} should not be there`),
    ...expected
      .filter((pattern) => !paths.some((path) => matches(pattern, path)))
      .map((pattern) => `${pattern instanceof RegExp ? pattern.source : pattern} is missing`),
    ...entriesOf(packageJson)
      .filter((path) => !existsSync(join(directory, path)))
      .map((path) => `package.json names ${path}, which is missing`),
    ...paths.flatMap((path) =>
      problemsInside(directory, path, root, [
        packageJson.name,
        ...mayImport,
        ...Object.keys({ ...packageJson.dependencies, ...packageJson.peerDependencies }),
      ]),
    ),
    ...Object.entries(packageJson.dependencies ?? {})
      .filter(([name]) => name.startsWith('@lkt/') && !published.includes(name))
      .map(([name]) => `depends on ${name}, which is not published`),
    ...(size > MAX_BYTES ? [`has ${size} bytes, more than ${MAX_BYTES}`] : []),
  ];
}

function matches(pattern: string | RegExp, path: string): boolean {
  return typeof pattern === 'string' ? pattern === path : pattern.test(path);
}

/** Returns the files that others start or import. */
function entriesOf({ bin = {}, main, exports = {} }: Published): readonly string[] {
  const targets = Object.values(exports).flatMap((target) => Object.values(target));
  return [...Object.values(bin), ...(main === undefined ? [] : [main]), ...targets];
}

function problemsInside(
  directory: string,
  path: string,
  root: string,
  known: readonly string[],
): readonly string[] {
  const text = readFileSync(join(directory, path), 'utf8');
  const problems: string[] = [];
  if (text.includes(root)) problems.push(`${path} contains the path of the checkout`);
  if (/^\/\/# sourceMappingURL=/m.test(text)) problems.push(`${path} names a source map`);
  if (/\.(c?js|ts)$/.test(path)) {
    for (const name of packagesIn(path, text))
      if (!known.includes(name)) problems.push(`${path} imports ${name}, which package.json lacks`);
  }
  return problems;
}
