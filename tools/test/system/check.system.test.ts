import { expect, test } from 'vitest';
import { packagesWith } from './helpers/kernels.ts';
import { lkt } from './helpers/lkt.ts';
import { type Package, provenEach } from './helpers/proof.ts';

interface Checked {
  readonly packages: readonly { readonly name: string; readonly checks: readonly Check[] }[];
}

interface Check {
  readonly reproducible: boolean;
  readonly marks: readonly unknown[];
  readonly notes: readonly string[];
}

// Every run of changed code also builds a quarter of the examples' packages again, as another user
// in another directory: reproducible.system.test.ts.
const TESTER = [':(glob)packages/rebuild/src/**'];

test(
  'builds every package of this repository reproducibly in a varied environment',
  { timeout: 3_600_000 },
  async () => {
    const directories = packagesWith('build.yml');
    const proofs = await provenEach('check', directories, checkEach, { tester: TESTER });
    expect(directories.length).toBeGreaterThan(15);
    expect([...proofs.keys()].toSorted()).toEqual(directories);
  },
);

async function checkEach(
  packages: readonly Package[],
  isProven: (directory: string, result: string) => void,
): Promise<void> {
  const directories = packages.map(({ directory }) => directory);
  // The store may have records of former checks.
  const done = await lkt(['pkg', 'build', '--force', '--check', '--json', ...directories]);
  expect(done.status, done.stdout + done.stderr).toBe(0);
  const checked = JSON.parse(done.stdout) as Checked;
  for (const { directory, name } of packages) {
    const { checks = [] } = checked.packages.find((one) => one.name === name) ?? {};
    expect(checks.length, directory).toBeGreaterThan(0);
    for (const check of checks)
      expect(check, directory).toMatchObject({ reproducible: true, marks: [], notes: [] });
    isProven(directory, JSON.stringify(checks));
  }
}
