import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf, hashOf, peerVersions, remembered } from '@lkt/testing/remembered';
import { isInput, testInputs } from './test-inputs.ts';

/** A file of tests that take minutes: they boot machines, or work with many peers. */
export interface ProvenFile {
  /** Relative to the checkout. */
  readonly path: string;
  /** Names the result by a hash over all inputs of the tests. */
  readonly key: string;
  /** How many tests passed with these inputs; undefined if they have not all passed. */
  readonly passed: number | undefined;
}

/** Returns all such files, with their results in former runs. */
export function provenFiles(root: string): readonly ProvenFile[] {
  const peers = peerVersions();
  const files = filesOf(root, ['.']);
  const digests = new Map<string, string>();
  const digestOf = (path: string): string => {
    const known = digests.get(path) ?? hashOf(root, [path]);
    digests.set(path, known);
    return known;
  };
  return files
    .filter((path) => /\/test\/(?:.*\/)?[^/]*\.(?:integration|system)\.test\.ts$/.test(path))
    .filter((path) => existsSync(join(root, path)))
    .map((path) => {
      const inputs = testInputs(root, path);
      const hash = createHash('sha256').update(`${path}\n${peers}\n`);
      for (const file of files) if (isInput(file, inputs)) hash.update(`${digestOf(file)}\n`);
      const key = `tests-${hash.digest('hex').slice(0, 32)}`;
      const passed = remembered(key);
      return { path, key, passed: passed === undefined ? undefined : Number(passed) };
    });
}
