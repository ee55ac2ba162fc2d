import { expect, test } from 'vitest';
import { LktCommand } from '../src/command.ts';

class Probe extends LktCommand {
  async run(): Promise<{ quiet: boolean | undefined }> {
    const { flags } = await this.parse(Probe);
    return { quiet: flags.quiet };
  }
}

const parsed = async (...words: readonly string[]): Promise<boolean | undefined> =>
  (await new Probe(words, async () => ({})).run()).quiet;

test('treats level 0 of --verbose as --quiet', async () => {
  expect(await parsed('-v', '0')).toBe(true);
  expect(await parsed('--quiet')).toBe(true);
  for (const words of [[], ['-v', '1'], ['-v', '2']]) expect(await parsed(...words)).not.toBe(true);
});
