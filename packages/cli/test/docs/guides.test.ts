import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accept, wordsOf } from '../calls.ts';

/** The guides in docs/: every command line of lkt in a shell block is one that lkt accepts. */
const root = join(import.meta.dirname, '../../../..');
const guides = globSync(['docs/tutorial.md', 'docs/howto/*.md'], { cwd: root }).toSorted();

/** Returns the arguments of each call of lkt in the shell blocks of a document. */
function commands(text: string): readonly (readonly string[])[] {
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks.flatMap((block) =>
    block
      .replaceAll('\\\n', ' ')
      .split('\n')
      .flatMap((line) => {
        const [, words] = /^(?:npx (?:@lkt\/cli(?= init)|lkt)|lkt) ([^#|;&>]*)/.exec(line) ?? [];
        return words === undefined ? [] : [wordsOf(words)];
      }),
  );
}

test.each(guides)('%s calls lkt only with arguments that it accepts', async (path) => {
  const found = commands(readFileSync(join(root, path), 'utf8'));
  if (!path.endsWith('ssh.md')) expect(found.length).toBeGreaterThan(0);
  for (const words of found) await accept(words);
});

test('finds commands that lkt does not accept', async () => {
  const found = commands('```sh\nnpx lkt pin --hceck x.yml # no\n```\n```yaml\nlkt no\n```\n');
  expect(found).toEqual([['pin', '--hceck', 'x.yml']]);
  await expect(accept(found[0] ?? [])).rejects.toThrow(/hceck/);
});
