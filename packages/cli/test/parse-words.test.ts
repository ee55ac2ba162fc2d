import { parse } from '@oclif/core/parser';
import { array, assert, asyncProperty, constantFrom, oneof, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { LktCommand } from '../src/command.ts';
import { loadAllCommands } from '../src/commands.ts';
import { Flags } from '../src/flags/options.ts';
import { type Accepted, plainWords } from '../src/flags/parse-words.ts';

const VALUES = [
  '',
  'a',
  'a,b',
  'a=b',
  '--',
  '-',
  '-1',
  '-q',
  '-v',
  '2',
  'tcg',
  'json',
  'bash',
  'image',
  'x y',
];

test.each(Object.entries(await loadAllCommands()))(
  '%s: what is plain is what oclif makes of it',
  async (_, command) => {
    const flags = { json: Flags.boolean({}), ...LktCommand.baseFlags, ...command.flags };
    const accepted = { args: command.args, flags } as unknown as Accepted;
    const names = Object.keys(flags).map((name) => `--${name}`);
    const word = oneof(
      constantFrom(...names),
      constantFrom(...VALUES),
      tuple(constantFrom(...names), constantFrom(...VALUES)).map(([a, b]) => `${a}=${b}`),
    );
    let plain = 0;
    await assert(
      asyncProperty(array(word, { maxLength: 6 }), async (words) => {
        const given = plainWords(words, accepted);
        if (given === undefined) return;
        plain += 1;
        const { args, flags: found } = await parse([...words], accepted as never);
        expect(given).toEqual({ args, flags: found });
      }),
      { numRuns: 3000 },
    );
    expect(plain).toBeGreaterThan(0);
  },
);
