import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The files of a checkout that a test may read. */
export interface Inputs {
  /** Paths. Those of directories end with a slash; the top directory is empty. */
  readonly paths: readonly string[];
  /** Files of the top directory that are no inputs unless another path has them. */
  readonly except: readonly RegExp[];
  /**
   * Inputs that affect a machine only by the image that they compose: the composed examples stand
   * for them. Absent for tests without a machine.
   */
  readonly composers?: RegExp;
}

/** A path relative to the file that names it, in a file that uses `import.meta`. */
const RELATIVE = /['"`]((?:\.\/|\.\.\/)[^'"`$\s]*|\.\.)(?=['"`$])/g;
/** A file beside the one that names it. */
const BESIDE = /import\.meta\.dirname,\s*['"`](?!\.)/;
/** In other files, the paths of imports alone: the others are relative to another directory. */
const IMPORTED = /\b(?:from|import\(?)\s*['"](\.[^'"]*)['"]/g;

/**
 * Returns the paths of all that a test of a package may read in a checkout: its package, the
 * packages that it imports, and what it and its helpers name outside of them. Helpers of tests with
 * machines name the top directory: such a test may read all that its texts do not rule out.
 *
 * @param path of the test, relative to the checkout
 */
export function testInputs(root: string, path: string): Inputs {
  const inputs = new Set(['package.json', 'package-lock.json']);
  const texts = new Map<string, string>();
  const visit = (file: string): void => {
    if (texts.has(file)) return;
    const text = readFileSync(join(root, file), 'utf8');
    texts.set(file, text);
    if (BESIDE.test(text)) inputs.add(`${dirname(file)}/`);
    for (const [, name = ''] of text.matchAll(/['"`]@lkt\/([a-z-]+)[/'"`]/g))
      addPackage(root, name, inputs);
    for (const [, name = ''] of text.matchAll(text.includes('import.meta') ? RELATIVE : IMPORTED))
      visitTarget(relative(root, join(root, dirname(file), name)));
  };
  const visitTarget = (target: string): void => {
    if (target.startsWith('..')) return;
    const stats = statSync(join(root, target), { throwIfNoEntry: false });
    const [top = '', name = '', ...rest] = target.split('/');
    if (top === 'packages' && name !== '') {
      // Without such a package, the text only looks like a path.
      if (!addPackage(root, name, inputs)) return;
      // A helper may read what is beside it.
      if (rest[0] === 'test') inputs.add(`packages/${name}/test/`);
    } else if (stats === undefined) {
      // The path continues with a variable, or the test makes the file.
      visitTarget(relative(root, join(root, dirname(target))));
    } else {
      inputs.add(top === 'packages' || target === '' ? '' : target + (stats.isFile() ? '' : '/'));
      // The build of lkt is made from the packages, by these programs.
      if (top === 'dist') inputs.add('tools/build/');
    }
    if (stats?.isFile() === true && target.endsWith('.ts') && rest[0] !== 'src') visit(target);
  };
  visitTarget(path);
  const except = inputs.has('') && isGuestTest(path) ? unread([...texts.values()].join('\n')) : [];
  const paths = [...inputs].toSorted();
  return OF_MACHINES.test(path) ? { paths, except, composers: COMPOSERS } : { paths, except };
}

/** Adds a package and all packages that it imports. Reports whether it exists. */
function addPackage(root: string, name: string, inputs: Set<string>): boolean {
  const directory = `packages/${name}/`;
  if (inputs.has(directory)) return true;
  const manifest = join(root, directory, 'package.json');
  if (!existsSync(manifest)) return false;
  inputs.add(directory);
  for (const [, imported = ''] of readFileSync(manifest, 'utf8').matchAll(/"@lkt\/([a-z-]+)":/g))
    addPackage(root, imported, inputs);
  return true;
}

/** Reports whether a file is one of the inputs. A package is without its tests unless named. */
export function isInput(file: string, { paths, except }: Inputs): boolean {
  return paths.some((path) => {
    if (path === '') return !except.some((one) => one.test(file));
    if (!path.endsWith('/')) return file === path;
    return file.startsWith(path) && !(PACKAGE.test(path) && file.startsWith(`${path}test/`));
  });
}

/** Tests of what a booted machine does. Other tests with machines are of lkt's own commands. */
const OF_MACHINES =
  /^tools\/test\/(?:projects|system)\/(?:attack|boot|compressors|containers|disks|dm-crypt|docker|fleet|formats|gvisor|logging|network|resilience|root-disk|secure-boot|services)\.system\./;

/**
 * Sources that affect a machine only by its image: all of lkt except what boots and deploys images,
 * and except the formats, since tests write some that no example has, such as a signed EFI program.
 */
const COMPOSERS =
  /^packages\/(?!(?:fleet|formats|machine)\/|cli\/src\/(?:commands\/)?(?:fleet|machines?|run)[./])/;

const PACKAGE = /^packages\/[^/]+\/$/;

/** Reports whether a test is one of a machine or a program in it, which `lkt` builds. */
function isGuestTest(path: string): boolean {
  return /^tools\/test\/(?:(?:projects|system)\/)?[^/]+\.system\.test\.ts$/.test(path);
}

/** Paths that a test with a machine reads only if the text of it or of a helper matches. */
const RARE: readonly (readonly [text: RegExp, path: RegExp])[] = [
  [/\bdocs\b|\.md\b/, /^docs\/|^[A-Z]+\.md$/],
  [/\bbench\b/, /^tools\/bench\//],
  [/\bci\b/, /^(?:tools\/|\.)ci\//],
  // Each build reads which images all packages declare.
  [/\bprojects\b/, /^projects\/(?!.*\/build\.yml$)/],
  [/\brelease\b/, /^tools\/(?:test\/)?release\//],
  [/\bsite\b/, /^tools\/site\//],
  [/\bwords\b/, /^tools\/(?:words\/|check-words)/],
  [/\bvitest\.config\b/, /^vitest\.config|^tools\/vitest\//],
  [/\bnx\b/, /^packages\/nx-plugin\//],
  // No other command loads these sources, as a test checks.
  [/\b(?:fleet|schema)\b/, /^packages\/(?:fleet|cli\/src\/(?:commands\/)?fleet)\//],
  // A test of a program alone does not run lkt.
  [/\/lkt(?:\.ts)?['"`]|['"`]lkt['"`]/, /^packages\/|^lkt$/],
];

/** Tests and their helpers, which are inputs where they are imported. */
const OTHER_TESTS = [/^packages\/[^/]+\/test\//, /^tools\/test\/.*\.(?:test|kernel)\.ts$/];

/** A line of a comment. */
const COMMENT = /^\s*(?:\/\/|\/\*\*|\*).*$/gm;

function unread(texts: string): readonly RegExp[] {
  const text = texts.replaceAll(COMMENT, '');
  return [...OTHER_TESTS, ...RARE.flatMap(([named, path]) => (named.test(text) ? [] : [path]))];
}
