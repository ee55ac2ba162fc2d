import { expect, test } from 'vitest';
import { packagesWith } from './kernels.ts';
import { lkt } from './lkt.ts';
import { proven } from './proof.ts';

interface Checked {
  readonly packages: readonly {
    readonly name: string;
    readonly checks: readonly {
      readonly reproducible: boolean;
      readonly marks: readonly unknown[];
      readonly notes: readonly string[];
    }[];
  }[];
}

test(
  'every package of this repository is proven reproducible, in surroundings that differ in everything',
  { timeout: 3_600_000 },
  async () => {
    const lines = await proven('check', async () => {
      const done = await lkt(['pkg', 'build', '--check', '--json', ...packagesWith('build.yml')]);
      expect(done.status, done.stdout + done.stderr).toBe(0);
      const { packages } = JSON.parse(done.stdout) as Checked;
      return packages
        .flatMap(({ name, checks }) => checks.map((check) => JSON.stringify({ name, ...check })))
        .join('\n');
    });
    const checks = lines
      .split('\n')
      .map((line) => JSON.parse(line) as Checked['packages'][number]['checks'][number]);
    expect(checks.length).toBeGreaterThan(15);
    for (const check of checks)
      expect(check).toMatchObject({ reproducible: true, marks: [], notes: [] });
  },
);
