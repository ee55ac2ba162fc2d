import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { documentedPackages, fileLines, filesOf } from '../../packages-doc/contents.ts';
import { packageDocuments } from '../../packages-doc/main.ts';
import { lkt } from './helpers/lkt.ts';

const top = join(import.meta.dirname, '../../..');

interface Audited {
  readonly images: readonly {
    readonly elf: readonly unknown[];
    readonly findings: readonly unknown[];
  }[];
}

test(
  'passes the audit with the waivers of .audit.yml for all guest packages, and lists their files',
  { timeout: 1_800_000 },
  async () => {
    const packages = globSync('pkg/*/build.yml', { cwd: top }).map(dirname).toSorted();
    const built = await lkt(['pkg', 'build', ...packages]);
    expect(built.status, built.stderr).toBe(0);
    const done = await lkt(['audit', 'image', '--json', ...packages]);
    expect(done.status, done.stdout).toBe(0);
    const { images } = JSON.parse(done.stdout) as Audited;
    expect(images).toHaveLength(packages.length);
    expect(images.flatMap(({ elf }) => elf).length).toBeGreaterThan(10);
    const lines = new Map<string, readonly string[]>();
    for (const name of documentedPackages(top)) {
      const { stdout } = await lkt(['inspect', '--files', '--json', `pkg/${name}`]);
      lines.set(name, fileLines(filesOf(stdout)));
    }
    // `node tools/packages-doc/contents.ts` writes them.
    for (const [path, text] of packageDocuments(top, (name) => lines.get(name) ?? []))
      expect(readFileSync(join(top, path), 'utf8'), path).toBe(text);
  },
);
