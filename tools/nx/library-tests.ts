import { dirname } from 'node:path';

export const name = 'library-tests';

/** Gives each package of this repository a target `test`, which runs its unit tests. */
export const createNodes = [
  'packages/*/package.json',
  (files: readonly string[]): readonly unknown[] =>
    files.map((file) => {
      const root = dirname(file);
      const inputs = ['source', '^source', '{workspaceRoot}/vitest.config.ts'];
      const test = {
        command: `vitest run --project unit ${root}/`,
        cache: true,
        inputs,
        outputs: [],
      };
      return [file, { projects: { [root]: { targets: { test } } } }];
    }),
] as const;
