import { sample } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { differences } from './built-image.ts';
import { generatedCase } from './generated-case.ts';
import { OwnBuilders } from './own-builders.ts';

/** How many cases are built in a normal run, always the same. */
const RUNS = 60;
/** A case takes about as long as this many inputs of a parser. */
const INPUTS_PER_CASE = 100;

const wanted = process.env['LKT_FUZZ_RUNS'];
const seed =
  wanted === undefined ? 1 : Number(process.env['LKT_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const numRuns = wanted === undefined ? RUNS : Math.ceil(Number(wanted) / INPUTS_PER_CASE);
const cases = sample(generatedCase, { seed, numRuns }).map((item, index) => ({
  ...item,
  name: `${seed}/${index}`,
}));

let builders: OwnBuilders;

beforeAll(async () => {
  builders = await OwnBuilders.open();
});

afterAll(async () => builders[Symbol.asyncDispose]());

/** Messages of lkt for divergences that depend on files, so that no case can leave them out. */
const DIVERGENCE = /needs a directory as its destination|matches \d+ files, but/;

test.concurrent.each(cases)(
  'layers and config of Dockerfile $name are as of BuildKit',
  async (item) => {
    const { ours, theirs } = await builders.build(item);
    const { outcome, keep } = theirs;
    const shown = item.dockerfile.join('\n');
    if ('error' in ours) {
      if (!DIVERGENCE.test(ours.error))
        expect(outcome, `${shown}\n${ours.error}`).toHaveProperty('error');
    } else if ('error' in outcome) {
      expect.fail(`${shown}\nBuildKit: ${outcome.error.slice(-1000)}`);
    } else {
      const { ArgsEscaped: _, ...config } = outcome.image.config;
      expect(await differences(ours.image, outcome.image), shown).toEqual([]);
      expect(ours.image.diffIds, shown).toEqual(outcome.image.diffIds);
      expect(ours.image.config, shown).toEqual(config);
    }
    await keep();
  },
  120_000,
);
