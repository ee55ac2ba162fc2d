import { expect, test } from 'vitest';
import { packagesWith } from './helpers/kernels.ts';
import { lkt } from './helpers/lkt.ts';
import { provenEach } from './helpers/proof.ts';

interface Checked {
  readonly packages: readonly { readonly name: string; readonly checks: readonly Check[] }[];
}

interface Check {
  readonly reproducible: boolean;
  readonly marks: readonly unknown[];
  readonly notes: readonly string[];
}

test(
  'builds every package of this repository reproducibly in a varied environment',
  { timeout: 3_600_000 },
  async () => {
    const directories = packagesWith('build.yml');
    const proofs = await provenEach('check', directories, async (missing, isProven) => {
      const names = missing.map(({ directory }) => directory);
      // The store may have records of former checks.
      const done = await lkt(['pkg', 'build', '--force', '--check', '--json', ...names]);
      expect(done.status, done.stdout + done.stderr).toBe(0);
      const { packages } = JSON.parse(done.stdout) as Checked;
      for (const { directory, name } of missing)
        isProven(directory, JSON.stringify(packages.find((one) => one.name === name)?.checks));
    });
    expect(directories.length).toBeGreaterThan(15);
    for (const directory of directories) {
      const checks = JSON.parse(proofs.get(directory) ?? '[]') as Check[];
      expect(checks.length, directory).toBeGreaterThan(0);
      for (const check of checks)
        expect(check, directory).toMatchObject({ reproducible: true, marks: [], notes: [] });
    }
  },
);
