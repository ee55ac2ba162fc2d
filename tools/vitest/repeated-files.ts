import { readFileSync, writeFileSync } from 'node:fs';

/** The result of a run of all tests, for the run that repeats some of its files. */
export interface FirstRun {
  /** How many tests passed in the other files. */
  readonly passed: number;
  /** The failures to repeat, each in a line that begins with the path of its file. */
  readonly errors: readonly string[];
}

/** Writes the file of which `tools/test/run` reads the paths. */
export function writeFirstRun(path: string, { passed, errors }: FirstRun): void {
  writeFileSync(path, [String(passed), ...errors, ''].join('\n'));
}

/** Reads the file that `LKT_TEST_REPEATED` names; undefined if the variable is not set. */
export function readFirstRun(): FirstRun | undefined {
  const path = process.env['LKT_TEST_REPEATED'];
  if (path === undefined) return undefined;
  const [passed, ...errors] = readFileSync(path, 'utf8').trimEnd().split('\n');
  return { passed: Number(passed), errors };
}
