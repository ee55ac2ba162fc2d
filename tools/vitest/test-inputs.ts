import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** A path relative to the file that names it, in a file that uses `import.meta`. */
const RELATIVE = /['"`]((?:\.\/|\.\.\/)[^'"`$\s]*|\.\.)(?=['"`$])/g;
/** In other files, the paths of imports alone: the others are relative to another directory. */
const IMPORTED = /\b(?:from|import\(?)\s*['"](\.[^'"]*)['"]/g;

/**
 * Returns the paths of all that a test of a package may read in a checkout: its package, the
 * packages that it imports, and what it and its helpers name outside of them. Those of directories
 * end with a slash; the top directory, which some helpers name, is empty.
 *
 * @param path of the test, relative to the checkout
 */
export function testInputs(root: string, path: string): readonly string[] {
  const inputs = new Set(['package.json', 'package-lock.json']);
  const visited = new Set<string>();
  const visit = (file: string): void => {
    if (visited.has(file)) return;
    visited.add(file);
    const text = readFileSync(join(root, file), 'utf8');
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
      // Otherwise a text that only looks like a path.
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
  return inputs.has('') ? [''] : [...inputs].toSorted();
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
export function isInput(file: string, inputs: readonly string[]): boolean {
  return inputs.some(
    (input) =>
      file === input ||
      input === '' ||
      (input.endsWith('/') &&
        file.startsWith(input) &&
        !(PACKAGE.test(input) && file.startsWith(`${input}test/`))),
  );
}

const PACKAGE = /^packages\/[^/]+\/$/;
