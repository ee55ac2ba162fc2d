import { lstatSync } from 'node:fs';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createGit, filesAsCommitted, gitTreeId, isUnder, readRepository } from '@lkt/git';
import { sourceDirectories } from '../src/source-directories.ts';
import { readWorkTree } from '../src/work-tree.ts';
import { ENV, git, temporary } from './checkout.ts';

/** An action of a user in a repository. */
type Step =
  | { readonly kind: 'write' | 'script' | 'link' | 'remove' | 'ignore'; path: string; text: string }
  | { readonly kind: 'git'; readonly words: readonly string[] };

const name = fc.constantFrom('a', 'b', 'ab', 'a.o', 'sub', 'ü x');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const glob = fc
  .tuple(
    fc.constantFrom('', '', '!', '/', '!/'),
    fc.array(fc.constantFrom('a', 'b', 'sub', '*', '**', '/', '.o', '?', '[ab]', '[!a]', '\u00fc')),
    fc.constantFrom('', '', '/', ' '),
  )
  .map(([begin, middle, end]) => `${begin}${middle.join('')}${end}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('write', 'write', 'write', 'script', 'link', 'remove'),
    path: path.map((below) => `pkg/${below}`),
    text: fc.constantFrom('', 'x\n', 'y\n'),
  }),
  fc.record({
    kind: fc.constant('ignore'),
    path: fc.constantFrom('.gitignore', 'pkg/.gitignore', 'pkg/a/.gitignore', '.git/info/exclude'),
    text: fc.array(glob, { maxLength: 4 }).map((lines) => lines.join('\n')),
  }),
  fc.record({
    kind: fc.constant('git'),
    words: fc.oneof(
      fc.constantFrom(
        ['add', '--all'],
        ['commit', '--quiet', '--allow-empty', '--message', 'x'],
        ['rm', '-r', '--quiet', '--cached', '--ignore-unmatch', 'pkg/a'],
        ['reset', '--quiet', '--soft', 'HEAD~'],
        ['add', '--force', 'pkg'],
      ),
      path.map((below) => ['add', `pkg/${below}`]),
    ),
  }),
);

async function take(top: string, done: Step): Promise<void> {
  if (done.kind === 'git') {
    // Not every command is possible in every state.
    try {
      git(top, ...done.words);
    } catch {
      return;
    }
    return;
  }
  const absolute = join(top, done.path);
  try {
    if (done.kind !== 'ignore') await rm(absolute, { recursive: true, force: true });
    if (done.kind === 'remove') return;
    await mkdir(dirname(absolute), { recursive: true });
    if (done.kind === 'link') await symlink('x', absolute);
    else await writeFile(absolute, done.text);
    if (done.kind === 'script') await chmod(absolute, 0o755);
  } catch {
    // A file is in the place of a directory.
  }
}

function isDirectory(absolute: string): boolean {
  return lstatSync(absolute, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Git adds nothing in a directory that it ignores, also no tracked file. */
function refusal(error: unknown): undefined {
  expect(error).toMatchObject({ detail: expect.stringContaining('are ignored by one of your') });
}

/** Makes lkt ask git for everything. */
const ASKS = { ...ENV, GIT_CEILING_DIRECTORIES: '/nonexistent' };

test('a work tree is read as git reads it, in any state', async () => {
  let [all, read] = [0, 0];
  const paths = ['', 'pkg', 'pkg/a', 'pkg/sub'];
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.subarray(paths, { minLength: 1 }),
      async (steps, named) => {
        await using dir = await temporary();
        const top = dir.path;
        git(top, 'init', '--quiet', '--initial-branch', 'main');
        for (const one of steps) await take(top, one);
        const wanted = named.filter((one) => isDirectory(join(top, one)));
        all += 1;
        const found = readWorkTree(top, wanted, ENV);
        if (found === undefined) return;
        read += 1;
        const asked = createGit(ASKS);
        const dirs = wanted.map((one) => join(top, one));
        const state = await readRepository(asked, top, dirs);
        for (const [index, one] of wanted.entries()) {
          const inside = <T extends { readonly path: string }>(files: readonly T[]): readonly T[] =>
            files.filter((file) => isUnder(file.path, one));
          const changes = [...new Set([...found.changed, ...found.untracked])].toSorted();
          expect(found.trees.get(one)).toBe(state.headTree(one));
          expect(changes.filter((file) => isUnder(file, one))).toEqual(state.changes(one));
          expect(found.untracked.some((file) => isUnder(file, one))).toBe(state.hasUntracked(one));
          expect(inside(found.files).map((file) => [file.path, file.mode])).toEqual(
            state.files(one).map((file) => [file.path, file.mode]),
          );
          const files = await filesAsCommitted(asked, top, [dirs[index] ?? '']).catch(refusal);
          if (files === undefined) continue;
          const skip = one === '' ? 0 : one.length + 1;
          const moved = inside(files).map((file) => ({ ...file, path: file.path.slice(skip) }));
          expect(found.currentTrees.get(one)).toBe(gitTreeId(moved));
        }
        const listed = git(top, 'ls-files', '-z', '--cached', '--others', '--exclude-standard');
        const expected = listed.split('\0').filter((file) => file !== '');
        expect([...new Set(sourceDirectories(top, ENV))].toSorted()).toEqual(
          [...new Set(expected.map((file) => dirname(join(top, file))))].toSorted(),
        );
      },
    ),
    { numRuns: Number(process.env['LKT_FUZZ_RUNS'] ?? 60) },
  );
  // Git itself is needed only for few of these states.
  expect(read).toBeGreaterThan(all / 2);
});
