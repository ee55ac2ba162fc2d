/**
 * How long composing takes, against `cpio | zstd` over the same files: the least that any tool without a cache does.
 *
 *     node_modules/.bin/node tools/bench/compose.ts [examples/sshd.yml]
 *
 * Needs cpio and zstd, and the packages of the config in the store (`./lkt build` once).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare, median, root } from './measure.ts';

const config = process.argv[2] ?? 'examples/sshd.yml';
const dir = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
const lkt = [join(root, 'lkt'), 'build', '--quiet', '--dir', dir, '--name', 'bench', config];
try {
  median(lkt, { runs: 1 });
  const { settings } = JSON.parse(
    execFileSync(join(root, 'lkt'), ['env', '--json'], { encoding: 'utf8' }),
  ) as { readonly settings: readonly { readonly name: string; readonly value: string }[] };
  const store = settings.find(({ name }) => name === 'LKT_CACHE')?.value ?? '';
  const segments = join(store, 'segments');
  const tree = join(dir, 'tree');
  mkdirSync(tree);
  execFileSync(join(root, 'lkt'), [
    'build',
    '--quiet',
    '--format',
    'tar',
    '--dir',
    dir,
    '--name',
    'bench',
    config,
  ]);
  execFileSync('tar', [
    '-xf',
    join(dir, 'bench.tar'),
    '-C',
    tree,
    '--exclude=boot',
    '--warning=no-unknown-keyword',
  ]);
  const peer = [
    'sh',
    '-c',
    `cd "${tree}" && find . | LC_ALL=C sort | cpio -o -H newc --quiet | zstd -q -3 -f -o ../peer.img`,
  ];
  const theirs = median(peer);
  compare(
    'compose, nothing cached',
    median(lkt, { before: () => rmSync(segments, { recursive: true, force: true }) }),
    'cpio | zstd -3',
    theirs,
  );
  compare('compose, nothing changed', median(lkt), 'cpio | zstd -3', theirs);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
