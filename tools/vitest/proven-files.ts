import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { filesOf, hashOf, remembered } from '../test/memory.ts';

/** A file of tests that take minutes: they boot machines, or work with many peers. */
export interface ProvenFile {
  /** Relative to the checkout. */
  readonly path: string;
  /** Names the result by a hash over all inputs of the tests. */
  readonly key: string;
  /** How many tests passed with these inputs; undefined if they have not all passed. */
  readonly passed: number | undefined;
}

const ENGINES = ['builder', 'buildkit', 'rebuild'];

/** Directories of `tools` that no system test reads. */
const UNRELATED = ['bench', 'ci', 'release', 'site', 'words'];

/** Inputs of the system tests. */
const GUESTS = [
  'lkt',
  'package-lock.json',
  'tools',
  ...UNRELATED.map((name) => `:(exclude)tools/${name}`),
  'kernel',
  'pkg',
  'examples',
  'projects',
  ':(glob)packages/*/src/**',
  'packages/buildkit/test/dockerd.ts',
];

/** Returns all such files, with their results in former runs. */
export function provenFiles(root: string): readonly ProvenFile[] {
  const peers = peerVersions(root);
  const groups = [
    { tests: [':(glob)tools/test/**/*.system.test.ts'], inputs: GUESTS },
    {
      tests: ['integration', 'system'].flatMap((tier) =>
        ENGINES.map((name) => `:(glob)packages/${name}/test/**/*.${tier}.test.ts`),
      ),
      inputs: ['package-lock.json', ...ENGINES.flatMap((name) => closure(root, name))],
    },
    {
      tests: [':(glob)packages/fleet/test/providers/*.integration.test.ts'],
      inputs: ['package-lock.json', ...closure(root, 'fleet')],
    },
    {
      tests: ['packages/cli/test/store/decay.integration.test.ts'],
      inputs: ['package-lock.json', ...closure(root, 'cli')],
    },
  ];
  return groups.flatMap(({ tests, inputs }) => {
    const inputHash = hashOf(root, filesOf(root, inputs));
    return filesOf(root, tests).map((path) => {
      const hash = createHash('sha256').update(`${path}\n${inputHash}\n${peers}`).digest('hex');
      const key = `tests-${hash.slice(0, 32)}`;
      const passed = remembered(key);
      return { path, key, passed: passed === undefined ? undefined : Number(passed) };
    });
  });
}

/** Returns the directories of a package and of all packages that it imports. */
function closure(root: string, name: string, found = new Set<string>()): readonly string[] {
  found.add(`packages/${name}`);
  const manifest = readFileSync(join(root, 'packages', name, 'package.json'), 'utf8');
  for (const [, imported = ''] of manifest.matchAll(/"@lkt\/([a-z-]+)":/g))
    if (!found.has(`packages/${imported}`)) closure(root, imported, found);
  return [...found];
}

/** Returns the versions of the kernel and of the programs that the tests run as peers. */
function peerVersions(root: string): string {
  const names = readFileSync(join(root, 'tools/test/apt-packages.txt'), 'utf8')
    .replaceAll(/#.*/g, '')
    .split(/\s+/)
    .filter((name) => name !== '');
  const { stdout } = spawnSync('dpkg-query', ['-W', ...names], { encoding: 'utf8' });
  return `${release()}\n${stdout}`;
}
