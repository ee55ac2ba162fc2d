/**
 * `tools/test/inputs TEST...`: runs each test file, and prints the files of the checkout that it
 * read though they are no inputs of its result. Needs a mount that keeps the times of access.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf } from '@lkt/testing/remembered';
import { isInput, testInputs } from './test-inputs.ts';

const root = join(import.meta.dirname, '../..');
/** Files that vitest itself reads, and those that decide which tests a run skips. */
const RUNNER =
  /^(?:vitest\.config\.ts|tools\/vitest\/.*|tsconfig.*\.json|packages\/builder\/test\/compiled-code\.ts)$/;

let status = 0;
for (const path of process.argv.slice(2)) {
  const start = Date.now();
  const project = path.includes('.system.') ? 'system' : 'integration';
  const done = spawnSync('vitest', ['run', '--project', project, path], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // The search for inputs reads files, too.
  const read = filesOf(root, ['.']).filter((file) => accessed(file) >= start && !RUNNER.test(file));
  const inputs = testInputs(root, path);
  const undeclared = read.filter((file) => !isInput(file, inputs));
  process.stdout.write(`${path} read ${read.length} files\n`);
  for (const file of undeclared) process.stdout.write(`read, but no input of ${path}: ${file}\n`);
  if (done.status !== 0 || undeclared.length > 0) status = 1;
}
process.exitCode = status;

function accessed(file: string): number {
  return statSync(join(root, file), { throwIfNoEntry: false })?.atimeMs ?? 0;
}
