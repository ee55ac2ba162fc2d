import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, test, vi } from 'vitest';
import { type } from './typist.ts';

vi.setConfig({ testTimeout: 120_000 });

const FILES = {
  'os.yml': 'kernel: {image: acme/kernel, cmdline: quiet}\ninit: [acme/init]\n',
  'pkg/kernel/build.yml': 'org: acme\nimage: kernel\narches: [amd64]\n',
  'pkg/kernel/Dockerfile': 'FROM scratch\nCOPY . /\n',
  'pkg/kernel/kernel': 'kernel',
  'pkg/init/build.yml': 'org: acme\nimage: init\narches: [amd64]\n',
  'pkg/init/Dockerfile': 'FROM scratch\nCOPY Dockerfile /init\n',
};

test('ends with what is cached and what to do next, only on a terminal', async () => {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'lkt-terminal-'));
  const cwd = dir.path;
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(cwd, path)), { recursive: true });
    writeFileSync(join(cwd, path), text);
  }
  execFileSync('tar', ['-cf', 'pkg/kernel/kernel.tar', '--files-from', '/dev/null'], { cwd });
  for (const words of [
    ['init', '-q'],
    ['add', '-A'],
  ])
    execFileSync('git', words, { cwd });
  const env = { HOME: cwd, LKT_CACHE: join(cwd, 'store'), TERM: 'xterm', CI: '' };
  const lkt = async (...words: readonly string[]): Promise<string> => {
    const { status, seen } = await type({ cwd, env }, [], words);
    expect(seen).not.toContain('error');
    expect(status).toBe(0);
    return stripVTControlCharacters(seen);
  };
  expect(await lkt('pin', 'os.yml')).toMatch(/next: lkt run os\.yml\r\n$/);
  expect(await lkt('build', '--dir', 'out', 'os.yml')).toMatch(/next: lkt run out\/os\r\n$/);
  expect(await lkt('build', '--dir', 'out', 'os.yml')).toMatch(
    /cached: 2 packages[^]*next: lkt run out\/os\r\n$/,
  );
  for (const words of [['--quiet'], ['--json'], ['--progress', 'plain'], ['--format', 'tar']])
    expect(await lkt('build', '--dir', 'out', ...words, 'os.yml')).not.toContain('next:');
});
