import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support.ts';

test('leaves no temporary file if the disk takes a part of the text', async () => {
  await using directory = await tempDir();
  const module = JSON.stringify(join(import.meta.dirname, '../../src/io/temp.ts'));
  const script = `
    import { putFile } from ${module};
    const [, directory] = process.argv;
    try {
      putFile(directory + '/tmp', directory + '/file', 'x'.repeat(10_000));
    } catch ({ code }) {
      process.stdout.write(code);
    }`;
  const output = execFileSync(
    'prlimit',
    [
      ['--fsize=4096', process.execPath, '--no-warnings', '--conditions', 'development'],
      ['--input-type=module', '-e', script, directory.path],
    ].flat(),
    { encoding: 'utf8' },
  );
  expect(output).toBe('EFBIG');
  expect(readdirSync(join(directory.path, 'tmp'))).toEqual([]);
});
