import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuiltImage, differences } from './built-image.ts';
import { OWN_CASES } from './own/cases.ts';
import type { Expectation } from './own-case.ts';
import { SOURCE_CASES } from './own/sources.ts';
import { OwnBuilders } from './own-builders.ts';
import type { Outcome } from './peers.ts';

const cases = OWN_CASES.map((item, index) => ({ ...item, index }));
let builders: OwnBuilders;

beforeAll(async () => {
  builders = await OwnBuilders.open();
});

afterAll(async () => builders[Symbol.asyncDispose]());

const ends = (outcome: Outcome): string => ('error' in outcome ? outcome.error : 'an image');

/** The config of an image without the one property that differs everywhere. */
function configOf({ config }: BuiltImage): object {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== 'ArgsEscaped'));
}

describe('own cases', () => {
  test('have different names', () => {
    const names = cases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test('use each divergence that docs/dockerfile.md lists, and no other', () => {
    const text = readFileSync(join(import.meta.dirname, '../../../../docs/dockerfile.md'), 'utf8');
    const [, section = ''] = text.split('\n## Divergences from BuildKit\n');
    const listed = section
      .split('\n#')[0]
      ?.matchAll(/^- \*\*(.+?)\*\*/gm)
      .map(([, name]) => name)
      .toArray();
    const used = [...cases, ...SOURCE_CASES].flatMap(({ expect: expected }) =>
      expected !== undefined && 'divergence' in expected ? [expected.divergence] : [],
    );
    expect(listed).toEqual([...new Set([...used, 'ArgsEscaped'])].toSorted());
  });

  test.concurrent.each(cases)(
    '$index $name',
    async (item) => {
      const { ours, theirs } = await builders.build(item);
      await compare(item.expect ?? { divergence: 'none' }, ours, theirs.outcome);
      await theirs.keep();
    },
    120_000,
  );
});

async function compare(expected: Expectation, ours: Outcome, theirs: Outcome): Promise<void> {
  if ('bothFail' in expected) {
    expect(ends(ours)).toMatch(expected.bothFail);
    expect(ends(theirs)).not.toBe('an image');
    return;
  }
  if ('lktFails' in expected) {
    expect(ends(ours)).toMatch(expected.lktFails);
    expect(ends(theirs)).toBe('an image');
    return;
  }
  if ('buildkitFails' in expected) {
    expect(ends(ours)).toBe('an image');
    expect(ends(theirs)).toMatch(expected.buildkitFails);
    return;
  }
  if ('error' in ours || 'error' in theirs)
    expect.fail(`lkt: ${ends(ours)}\nBuildKit: ${ends(theirs).slice(-1000)}`);
  const { files, ours: changed, theirs: changes } = expected;
  const found = await differences(ours.image, theirs.image);
  if (files === undefined) expect(found).toEqual([]);
  else expect(found.map((line) => line.replace(/: .*/, ''))).toEqual(files);
  const isSame = ours.image.diffIds.join() === theirs.image.diffIds.join();
  expect(isSame).toBe(files === undefined);
  const config = { ours: configOf(ours.image), theirs: configOf(theirs.image) };
  expect(config.ours).toMatchObject(changed ?? {});
  expect({ ...config.ours, ...changes }).toEqual(config.theirs);
  if (changed !== undefined) expect(config.ours).not.toEqual(config.theirs);
}
