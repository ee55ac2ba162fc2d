import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { filesOf, hashOf, remembered } from '../test/memory.ts';

/** A file of tests that take minutes: they boot machines, and build with every engine there is. */
export interface ProvenFile {
  /** In the checkout. */
  readonly path: string;
  /** What its result is remembered by: it has the hash of all that the tests stand on. */
  readonly key: string;
  /** How many tests passed, all that it has, when it was run for the same. */
  readonly passed: number | undefined;
}

interface Group {
  readonly tests: readonly string[];
  readonly standOn: (root: string) => readonly string[];
}

const GUESTS = [
  'lkt',
  'package-lock.json',
  'tools',
  'kernel',
  'pkg',
  'examples',
  ':(glob)packages/*/src/**',
  'packages/buildkit/test/dockerd.ts',
];

const ENGINES = ['builder', 'buildkit', 'rebuild'];

const GROUPS: readonly Group[] = [
  {
    tests: [':(glob)tools/test/**/*.test.ts', ':(exclude)tools/test/repository.test.ts'],
    standOn: () => GUESTS,
  },
  {
    tests: ENGINES.map((name) => `:(glob)packages/${name}/test/**/*.test.ts`),
    standOn: (root) => ['package-lock.json', ...ENGINES.flatMap((name) => closure(root, name))],
  },
];

/** All such files, with what is known of them from runs before. */
export function provenFiles(root: string): readonly ProvenFile[] {
  const peers = peersOf(root);
  return GROUPS.flatMap(({ tests, standOn }) => {
    const inputs = hashOf(root, filesOf(root, standOn(root)));
    return filesOf(root, tests).map((path) => {
      const hash = createHash('sha256').update(`${path}\n${inputs}\n${peers}`).digest('hex');
      const key = `tests-${hash.slice(0, 32)}`;
      const passed = remembered(key);
      return { path, key, passed: passed === undefined ? undefined : Number(passed) };
    });
  });
}

/** The directories of a layer, and of all that it imports. */
function closure(root: string, name: string, found = new Set<string>()): readonly string[] {
  found.add(`packages/${name}`);
  const text = readFileSync(join(root, 'packages', name, 'package.json'), 'utf8');
  for (const [, layer = ''] of text.matchAll(/"@lkt\/([a-z-]+)":/g))
    if (!found.has(`packages/${layer}`)) closure(root, layer, found);
  return [...found];
}

/** The kernel, and the versions of the programs that the tests run beside lkt. */
function peersOf(root: string): string {
  const list = readFileSync(join(root, 'tools/test/apt-packages.txt'), 'utf8');
  const names = list
    .replaceAll(/#.*/g, '')
    .split(/\s+/)
    .filter((name) => name !== '');
  const { stdout } = spawnSync('dpkg-query', ['-W', ...names], { encoding: 'utf8' });
  return `${release()}\n${stdout}`;
}
