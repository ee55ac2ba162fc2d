import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { lkt, root } from './system/helpers/lkt.ts';

/** Where the images of builds have the patched modules of lkt/golang-ssh. */
const MODULES = '/usr/share/golang-ssh';

/** Options for the go command in a module, and what removes the files that they name. */
export interface ModuleOptions extends Disposable {
  readonly options: readonly string[];
}

/**
 * Returns the options with which the go command finds the modules of lkt/golang-ssh, which a test
 * machine lacks, or none for a Go module that does not need them. Builds that package if the store
 * lacks it.
 */
export async function moduleOptions(directory: string): Promise<ModuleOptions> {
  const goMod = readFileSync(join(directory, 'go.mod'), 'utf8');
  if (!goMod.includes(MODULES)) return { options: [], [Symbol.dispose]() {} };
  const dir = mkdtempSync(join(tmpdir(), 'lkt-go-modules-'));
  const built = await lkt(['pkg', 'build', '--json', join(root, 'tools/golang-ssh')]);
  const { packages } = JSON.parse(built.stdout) as {
    readonly packages: readonly { readonly reference: string; readonly target: boolean }[];
  };
  const reference = packages.find(({ target }) => target)?.reference ?? '';
  const archive = join(dir, 'image.tar');
  const done = await lkt(['cache', 'export', reference, '--format=filesystem', '-o', archive]);
  if (done.status !== 0) throw new Error(done.stderr);
  execFileSync('tar', ['-xf', archive, '-C', dir]);
  const file = join(dir, 'go.mod');
  writeFileSync(
    file,
    goMod
      .replaceAll(MODULES, join(dir, MODULES))
      .replaceAll('=> ../', `=> ${join(directory, '..')}/`),
  );
  return {
    options: [`-modfile=${file}`],
    [Symbol.dispose]() {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/**
 * Returns the paths in the checkout that tests of a Go module read: the module, those that it takes
 * from the directories beside it, and what a test names outside of them.
 */
export function moduleInputs(directory: string): readonly string[] {
  const found = new Set<string>();
  const add = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    const goMod = readFileSync(join(root, path, 'go.mod'), 'utf8');
    if (goMod.includes(MODULES))
      for (const one of ['tools/golang-ssh', 'tools/golang-ssh-base']) found.add(one);
    for (const [, beside = ''] of goMod.matchAll(/=> (\.\.\/\S+)/g)) add(join(path, beside));
    for (const file of globSync(`${path}/**/*_test.go`, { cwd: root }))
      for (const [, name = ''] of readFileSync(join(root, file), 'utf8').matchAll(NAMED)) {
        const target = normalize(join(dirname(file), name));
        if (!target.startsWith('..') && existsSync(join(root, target))) found.add(target);
      }
  };
  add(directory);
  return [...found].toSorted();
}

/** A path that leads out of the directory of a Go file. */
const NAMED = /"((?:\.\.\/)+[^"\\./][^"\\]*)"/g;
