import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const source = fileURLToPath(new URL('../../src/machines/source-watcher.ts', import.meta.url));

test('ignores its own output file, as in lkt dev > dev.log', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-watch-'));
  const script = `
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceWatcher } from ${JSON.stringify(pathToFileURL(source).href)};
const watcher = new SourceWatcher('/nonexistent');
watcher.watch([${JSON.stringify(dir.path)}]);
let changes = 0;
const next = watcher.next(new AbortController().signal).then(() => (changes += 1));
process.stdout.write('a line');
await sleep(500);
process.stderr.write('after the line: ' + changes);
writeFileSync(${JSON.stringify(join(dir.path, 'page'))}, 'text');
await next;
process.stderr.write(', after the file: ' + changes);
watcher[Symbol.dispose]();
`;
  const log = openSync(join(dir.path, 'dev.log'), 'w');
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', log, 'pipe'],
    encoding: 'utf8',
  });
  closeSync(log);
  expect(stderr).toBe('after the line: 0, after the file: 1');
  expect(readFileSync(join(dir.path, 'dev.log'), 'utf8')).toBe('a line');
});
