import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Further builds, with options that configs of tests use and no example does. */
const MORE: readonly (readonly [example: string, layout: string, options: readonly string[]])[] = [
  ['minimal', 'erofs', []],
  ['minimal', 'solid', []],
  [
    'sshd',
    'cpio',
    ['--format=iso-bios,iso-efi,raw-bios,raw-efi,qcow2-bios,uki,vmdk,kernel+squashfs,kernel+erofs'],
  ],
  ['tiny', 'cpio', ['--compressor=gzip']],
  ['tiny', 'cpio', ['--compressor=xz', '--compress-level=2']],
  ['tiny', 'cpio', ['--compressor=lz4']],
];

/**
 * Composes the examples, and returns a hash of all files. While it stays, a change of the code that
 * composes has not changed what boots.
 *
 * @returns undefined if one cannot be built
 */
export function composedExamples(root: string): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'lkt-composed-'));
  const hash = createHash('sha256');
  const compose = (config: string, more: readonly string[]): boolean => {
    const out = join(directory, 'out');
    mkdirSync(out);
    const options = ['--progress=plain', '--no-audit', '--no-sbom', '--no-provenance'];
    const words = ['build', ...options, '--dir', out, config, ...more];
    // Shows the packages that it builds on a new machine.
    const { status } = spawnSync(join(root, 'lkt'), words, {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    for (const name of readdirSync(out).toSorted())
      hash.update(`${name}\n`).update(readFileSync(join(out, name)));
    rmSync(out, { recursive: true });
    return status === 0;
  };
  process.stdout.write('composing the examples, by which tests with machines are remembered\n');
  try {
    const examples = globSync('examples/*.yml', { cwd: root })
      // It names a key that each user makes.
      .filter((path) => path !== 'examples/dm-crypt.yml')
      .toSorted();
    const further = MORE.map(([example, layout, options]) => {
      const file = join(directory, `${layout}.yml`);
      writeFileSync(file, `layout: ${layout}\n`);
      return [`examples/${example}.yml`, file, ...options];
    });
    const all = [...examples.map((path) => [path]), ...further];
    const isComposed = all.every(([path = '', ...more]) => compose(join(root, path), more));
    return isComposed ? hash.digest('hex') : undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
