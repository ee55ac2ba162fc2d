import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf, hashOf, peerVersions, rememberedInTurn } from '@lkt/testing/remembered';
import { isInput, testInputs } from './test-inputs.ts';

/** A file of tests that take minutes: they boot machines, or work with many peers. */
export interface ProvenFile {
  /** Relative to the checkout. */
  readonly path: string;
  /** Names of the result: a hash over all inputs, and one over those that always repeat it. */
  readonly keys: readonly string[];
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
      const { builders } = inputs;
      const read = files.filter((file) => isInput(file, inputs));
      const keyOf = (some: readonly string[]): string => {
        const hash = createHash('sha256').update(`${path}\n${peers}\n`);
        for (const file of some) hash.update(`${digestOf(file)}\n`);
        return `tests-${hash.digest('hex').slice(0, 32)}`;
      };
      const whole = keyOf(read);
      const rest = builders && keyOf(read.filter((file) => !builders.test(file)));
      const passed = rememberedInTurn(whole, rest);
      const keys = rest === undefined ? [whole] : [whole, rest];
      return { path, keys, passed: passed === undefined ? undefined : Number(passed) };
    });
}
