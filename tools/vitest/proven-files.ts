import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf, hashOf, peerVersions, remembered } from '@lkt/testing/remembered';
import { composedExamples } from './composed-examples.ts';
import { isInput, testInputs } from './test-inputs.ts';

/** A file of tests that take minutes: they boot machines, or work with many peers. */
export interface ProvenFile {
  /** Relative to the checkout. */
  readonly path: string;
  /**
   * Names of the result: a hash over all inputs. Tests with machines have a second one, over the
   * composed examples instead of the code that composes them.
   */
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
  const keyOf = (path: string, read: readonly string[], composed = ''): string => {
    const hash = createHash('sha256').update(`${path}\n${peers}\n${composed}`);
    for (const file of read) hash.update(`${digestOf(file)}\n`);
    return `tests-${hash.digest('hex').slice(0, 32)}`;
  };
  let examples: { readonly hash: string | undefined } | undefined;
  return files
    .filter((path) => /\/test\/(?:.*\/)?[^/]*\.(?:integration|system)\.test\.ts$/.test(path))
    .filter((path) => existsSync(join(root, path)))
    .map((path) => {
      const inputs = testInputs(root, path);
      const { composers } = inputs;
      const read = files.filter((file) => isInput(file, inputs));
      const keys = [keyOf(path, read)];
      if (composers !== undefined && passedAs(keys) === undefined) {
        examples ??= { hash: composedExamples(root) };
        const others = read.filter((file) => !composers.test(file));
        if (examples.hash !== undefined) keys.push(keyOf(path, others, examples.hash));
      }
      return { path, keys, passed: passedAs(keys) };
    });
}

/** Returns how many tests passed with one of these keys. */
function passedAs(keys: readonly string[]): number | undefined {
  const known = keys.map((key) => remembered(key)).find((result) => result !== undefined);
  return known === undefined ? undefined : Number(known);
}
