import { createHash } from 'node:crypto';
import { filesOf, hashOf, remember, remembered, rememberedInTurn } from '@lkt/testing/remembered';
import { lkt, root } from './lkt.ts';

/**
 * Runs a slow test, or returns its stored result for the same inputs.
 *
 * The inputs are the contents of `paths` in the checkout; by default everything that affects a
 * build's output.
 */
export async function proven(
  name: string,
  prove: () => Promise<string>,
  paths: readonly string[] = BUILD,
): Promise<string> {
  const key = `${name}-${inputs(paths)}`;
  const known = remembered(key);
  if (known !== undefined) return known;
  const result = await prove();
  remember(key, result);
  return result;
}

/** Inputs of a test per package, besides the sources of the package. */
export interface EachOptions {
  /** Git patterns of the code; by default all that builds packages. */
  readonly code?: readonly string[];
  /** More inputs, by the name of a package's image. */
  readonly inputs?: ReadonlyMap<string, string>;
  /**
   * Git patterns of the code that tests. Once a package has passed with it, a change of the other
   * code repeats the test of one package in four.
   */
  readonly tester?: readonly string[];
  /**
   * Packages to test in one run at most, unless nothing may be remembered. Those without a result
   * follow in the next runs.
   */
  readonly most?: number;
}

/**
 * Runs a slow test per package, so that a change of one package repeats only its own test. The
 * inputs are the package's sources, which name its dependencies by digest, and the code that builds
 * it.
 *
 * @param prove - gets the packages without a result, and reports the result of each; those reported
 *   before a failure are kept
 * @returns results by directory
 */
export async function provenEach(
  name: string,
  directories: readonly string[],
  prove: (
    packages: readonly Package[],
    isProven: (directory: string, result: string) => void,
  ) => Promise<void>,
  { code = ENGINE, inputs: more = new Map<string, string>(), tester, most }: EachOptions = {},
): Promise<ReadonlyMap<string, string>> {
  const engine = inputs(code);
  const test = tester === undefined ? undefined : inputs(tester);
  const results = new Map<string, string>();
  const keys = new Map<string, readonly string[]>();
  const missing: Package[] = [];
  for (const { directory, tag } of await tagsOf(directories)) {
    const image = tag.replace(/:[^:]*$/, '');
    const keyOf = (from: string): string => {
      const text = `${from} ${tag} ${more.get(image) ?? ''}`.trimEnd();
      return `${name}-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
    };
    const key = keyOf(engine);
    const older = test === undefined ? undefined : keyOf(`tester ${test}`);
    const known = rememberedInTurn(key, older);
    keys.set(directory, older === undefined ? [key] : [key, older]);
    if (known === undefined) missing.push({ directory, name: image });
    else results.set(directory, known);
  }
  const turn = ({ directory }: Package): string => keys.get(directory)?.[0] ?? '';
  const chosen = process.env['LKT_TEST_ANEW'] === 'yes' ? missing : firstOf(missing, turn, most);
  if (chosen.length > 0)
    await prove(chosen, (directory, result) => {
      for (const key of keys.get(directory) ?? []) remember(key, result);
      results.set(directory, result);
    });
  return results;
}

/** Returns some of the packages in their order, those first whose `turn` sorts first. */
function firstOf(
  packages: readonly Package[],
  turn: (one: Package) => string,
  most = packages.length,
): readonly Package[] {
  const chosen = new Set(packages.toSorted((a, b) => (turn(a) < turn(b) ? -1 : 1)).slice(0, most));
  return packages.filter((one) => chosen.has(one));
}

/** A package of this repository. */
export interface Package {
  readonly directory: string;
  /** Name of its image. */
  readonly name: string;
}

interface Tagged {
  readonly directory: string;
  readonly tag: string;
}

/** Returns the tags of packages: hashes of their sources, including uncommitted ones. */
async function tagsOf(directories: readonly string[]): Promise<readonly Tagged[]> {
  const done = await lkt(['pkg', 'show-tag', '--json', ...directories]);
  if (done.status !== 0) throw new Error(done.stderr);
  const { tags } = JSON.parse(done.stdout) as { readonly tags: readonly string[] };
  return directories.map((directory, index) => ({ directory, tag: tags[index] ?? '' }));
}

const LAYERS = [
  'core',
  'oci',
  'http',
  'registry',
  'attest',
  'sign',
  'debian',
  'dockerfile',
  'git',
  'builder',
  'buildkit',
  'rebuild',
  'pkg',
];

/** The code that builds packages. It imports no layer above. */
const ENGINE = [
  'lkt',
  'package-lock.json',
  ...LAYERS.map((layer) => `:(glob)packages/${layer}/src/**`),
  'tools/build',
];

/** Tools for other purposes, and sources that building does not load: see test-inputs.ts. */
const OTHERS = [
  ...['bench', 'ci', 'release', 'site', 'vitest', 'words'].map((name) => `tools/${name}`),
  'tools/check-words.ts',
  'packages/fleet',
  'packages/nx-plugin',
  'packages/cli/src/fleet',
  'packages/cli/src/commands/fleet',
];

/** The sources of packages and images. */
export const SOURCES: readonly string[] = ['tools', 'kernel', 'pkg', 'examples', 'projects'];

const BUILD = [
  'lkt',
  'package-lock.json',
  ':(glob)packages/*/src/**',
  ...OTHERS.map((path) => `:(exclude)${path}`),
  ...SOURCES,
];

/** Returns a hash of the files that match git patterns, without tests. */
export function inputs(patterns: readonly string[]): string {
  const files = filesOf(root, patterns).filter((name) => !name.startsWith('tools/test/'));
  return hashOf(root, files);
}
