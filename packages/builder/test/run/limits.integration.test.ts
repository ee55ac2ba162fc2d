import { spawnSync } from 'node:child_process';
import { chownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Limits } from '../../src/index.ts';
import { build, groups, leftovers, scratch, untilGone } from '../fixture.ts';

const directory = scratch();
const store = join(directory.path, 'store');
afterAll(() => directory[Symbol.dispose]());

// The first process stays: sleeping needs no further one.
const FORK_BOMB = 'f() { f | f & }; f & exec sleep 1000';
const MEMORY_HOG = `x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo $x | wc -c`;

test.each<[string, string, Limits, RegExp, string]>([
  ['a fork bomb', FORK_BOMB, {}, /exceeded 4096 processes/, '--max-processes'],
  [
    'a fork bomb, held shorter',
    FORK_BOMB,
    { pids: 50 },
    /exceeded 50 processes/,
    '--max-processes',
  ],
  [
    'a process too many, and all is well',
    '(for i in $(seq 60); do sleep 1 & done) 2>/dev/null; wait; true',
    { pids: 30 },
    /exceeded 30 processes/,
    '--max-processes',
  ],
  [
    'memory without end',
    MEMORY_HOG,
    { memory: 64 << 20 },
    /exceeded 67108864 bytes of memory/,
    '--max-memory',
  ],
  [
    'memory without end, in a child whose failure is ignored',
    `(${MEMORY_HOG}) || true`,
    { memory: 64 << 20 },
    /exceeded \d+ bytes of memory/,
    '--max-memory',
  ],
  [
    'output without end',
    'while :; do echo y; done',
    { output: 100_000 },
    /wrote more than 100000 bytes/,
    '--max-output',
  ],
  [
    'output without end, by default',
    'cat /dev/zero',
    {},
    /wrote more than 67108864 bytes/,
    '--max-output',
  ],
  ['no end', 'sleep 1000', { seconds: 1 }, /did not end within 1 s/, '--max-time'],
])('stops %s, and names the limit', async (_name, command, limits, message, flag) => {
  const others = groups();
  const failure = build(store, `FROM base\n\nRUN ${command}\n`, { limits });
  await expect(failure).rejects.toMatchObject({
    code: 'BUILD_FAILED',
    message: expect.stringMatching(message) as string,
    fix: expect.stringContaining(flag) as string,
  });
  await expect(failure).rejects.toThrow(/^Dockerfile:3:1: RUN /);
  expect(leftovers(store)).toEqual([]);
  await untilGone(groups, others);
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
});

test('has the same result with limits as without, and shares its cache', async () => {
  const text = 'FROM base\nRUN echo x > /x; for i in $(seq 10); do sleep 0.1 & done; wait\n';
  const limits: Limits = { cpus: 1, memory: 512 << 20, pids: 50, seconds: 60, output: 1000 };
  const limited = await build(store, text, { limits });
  expect(limited.ran).toHaveLength(1);
  const free = await build(store, text);
  expect(free.ran).toEqual([]);
  const again = await build(store, text, { noCache: true });
  expect(again.descriptor).toEqual(limited.descriptor);
});

test('shows a command only its processors', async () => {
  const text = 'FROM base\nRUN grep Cpus_allowed_list /proc/self/status\n';
  const { log } = await build(store, text, { limits: { cpus: 1 }, noCache: true });
  expect(log).toMatch(/:\t\d+\n$/);
});

test('shows a command only its own control group', async () => {
  const { log } = await build(
    store,
    'FROM base\nRUN cat /proc/self/cgroup; cat /proc/self/mounts\n',
    {
      limits: { memory: 512 << 20 },
    },
  );
  expect(log).toContain(':/\n');
  expect(log).not.toContain('lkt-');
  expect(log).not.toContain('/sys/fs/cgroup');
});

test('enforces limits without control groups', () => {
  using own = scratch();
  chownSync(own.path, 65_534, 65_534);
  const script = `
    import { build } from ${JSON.stringify(join(import.meta.dirname, '../fixture.ts'))};
    for (const [command, limits] of JSON.parse(process.argv[2]))
      console.log(await build(process.argv[1], 'FROM base\\nRUN ' + command + '\\n', { limits })
        .then(() => 'ok', (e) => [e.code, e.message, e.fix, e.detail].join(' | ').replaceAll('\\n', ' ')));
  `;
  const commands = JSON.stringify([
    [FORK_BOMB, { pids: 100 }],
    [MEMORY_HOG, { memory: 64 << 20 }],
    ['true', { memory: 64 << 20, pids: 100, cpus: 1 }],
  ]);
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
  const node = ['--no-warnings', '--input-type=module', '-e', script, join(own.path, 'store')];
  const { stdout, stderr } = spawnSync('setpriv', [...user, ...node, commands], {
    encoding: 'utf8',
    cwd: '/',
  });
  expect(stderr).toBe('');
  const lines = stdout.trim().split('\n');
  expect(lines[0]).toMatch(/^BUILD_FAILED .* exceeded 100 processes .*--max-processes/);
  expect(lines[1]).toMatch(/^BUILD_FAILED .*status .*each of its processes has 67108864 bytes/);
  expect(lines[2]).toBe('ok');
});
