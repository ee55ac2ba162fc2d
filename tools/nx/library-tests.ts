import { dirname } from 'node:path';

export const name = 'library-tests';

/** For Nx: a target `test` for each package of this repository. */
export const createNodes = [
  'packages/*/package.json',
  (files: readonly string[]): readonly unknown[] =>
    files.map((file) => {
      const root = dirname(file);
      const inputs = ['source', '^source', '{workspaceRoot}/vitest.config.ts'];
      const test = { command: `vitest run ${root}/`, cache: true, inputs, outputs: [] };
      return [file, { projects: { [root]: { targets: { test } } } }];
    }),
] as const;
