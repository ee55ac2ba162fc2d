import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordAction } from '@lkt/pkg';
import { expect, it } from 'vitest';
import { checkout, ENV } from '../../git/test/checkout.ts';
import { settingsOf } from '../src/options.ts';
import { inputsOf } from '../src/projects.ts';
import { readModel } from '../src/workspace-model.ts';

const FILES = {
  'pkg/a/build.yml': 'org: t\nimage: a\n',
  'pkg/a/Dockerfile': 'FROM scratch\n',
  'examples/one.yml': 'include: [base.yml]\ninit: ["@pkg:../pkg/a"]\n',
  'examples/base.yml': 'files: [{path: a, contents: a}]\n',
};

it.each([
  [undefined, true],
  ['pkg/a/build.yml', false],
  ['pkg/a/Dockerfile', false],
  ['examples/one.yml', false],
  ['examples/base.yml', false],
])('records what was read before an edit of %s: %s', async (edited, isRecorded) => {
  await using repo = await checkout(FILES);
  const model = await readModel(repo.path, Object.keys(FILES), settingsOf({}), ENV);
  expect(model.images[0]?.inputs?.files).toHaveLength(2);
  if (edited !== undefined) appendFileSync(join(repo.path, edited), '# more\n');
  const inputs = inputsOf(model);
  const action = inputs && recordAction(inputs, 'x');
  expect(action !== undefined).toBe(isRecorded);
});
