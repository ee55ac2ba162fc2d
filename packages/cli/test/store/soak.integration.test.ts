import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  globSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  utimesSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '@lkt/testing';
import { expect, test } from 'vitest';
import { groups, untilGone } from '../../../builder/test/fixture.ts';
import { IoFault } from './io-fault.ts';
import { SmallWorkspace } from './small-workspace.ts';

/** How long to go on; `npm run test:soak` sets an hour. */
const given = process.env['LKT_SOAK_SECONDS'];
const seconds = Number(given ?? '60');
/** Repeats a run: its choices, not its races. */
const seed = Number(process.env['LKT_SOAK_SEED'] ?? randomInt(2 ** 31));

/** Bytes of the file system of the store, when it is not filled on purpose. */
const ROOM = 192 * 2 ** 20;
const YEAR_MS = 365 * 24 * 3600 * 1000;

/** Returns a generator of fractions (mulberry32). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns the processes that work in a directory, or name it. */
function processesIn(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const texts = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`));
        const directory = readlinkSync(`/proc/${pid}/cwd`);
        return [...texts, directory].some((text) => text.includes(path));
      } catch {
        return false;
      }
    });
}

/** RUNs that take all of something, with the flag that limits it and the error. */
const GREEDY: Readonly<Record<string, readonly [string, readonly string[], RegExp]>> = {
  memory: [
    'x=0123456789; while :; do x=$x$x; done',
    ['--max-memory', '64M'],
    /exceeded \d+ bytes of memory/,
  ],
  processes: [
    'f() { f | f & }; f & exec sleep 1000',
    ['--max-processes', '64'],
    /exceeded 64 processes/,
  ],
  disk: ['head -c 2000000000 /dev/zero > /full', [], /its file system is full$/m],
};

test(
  'the store survives kills, a full or failing disk, a crowd, other clocks and greedy commands',
  // A failure after an hour is shown at once, and not after a second hour.
  { timeout: seconds * 1000 + 600_000, ...(given !== undefined && { retry: 0 }) },
  async () => {
    console.log(`seed ${seed}: repeat with LKT_SOAK_SEED=${seed}`);
    const random = randomFrom(seed);
    const pick = <T>(items: readonly T[]): T => {
      const item = items[Math.floor(random() * items.length)];
      if (item === undefined) throw new Error('nothing to pick');
      return item;
    };
    await using place = await mkdtempDisposable(join(tmpdir(), 'lkt-soak-'));
    const workspace = new SmallWorkspace(place.path);
    await workspace.write('store-first');
    for (const [name, [command]] of Object.entries(GREEDY))
      workspace.addPackage(name, `FROM example/tools\nRUN ${command}\n`);
    workspace.commit();
    await workspace.lkt('store-first', ['pin']);
    workspace.commit();
    expect((await workspace.build('store-first', 'out')).status).toBe(0);
    await using registry = await startRegistry();
    const org = `${registry.host}/team`;
    const pushed = await workspace.lkt('store-first', ['pkg', 'push', '--org', org, 'pkg/app']);
    expect(pushed.status, pushed.stderr).toBe(0);
    const [tag = ''] = registry.storage.repositories.get('team/app')?.tags.keys() ?? [];
    const honest = workspace.digestsIn('out');

    execFileSync('mkdir', [workspace.at('store')]);
    const store = workspace.at('store');
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${ROOM}`, 'lkt-soak', store]);
    const fault = new IoFault(place.path, store);
    const resize = (bytes: number): void =>
      void execFileSync('mount', ['-o', `remount,size=${bytes}`, store]);
    const used = (): number => {
      const { blocks, bfree, bsize } = statfsSync(store);
      return (blocks - bfree) * bsize;
    };
    const commands = (): readonly string[] =>
      pick([
        ['pkg', 'build', '--force', '--no-cache', '--deps', 'pkg/app'],
        ['pkg', 'build', '--force', '--deps', 'pkg/app'],
        workspace.imageCommand(`out-${Math.floor(random() * 1e9)}`),
        ['cache', 'pull', `${org}/app:${tag}`],
        ['cache', 'prune', '--keep-storage', '1K'],
        ['cache', 'verify', '--remove'],
      ]);

    const rounds: Readonly<Record<string, () => Promise<void>>> = {
      kill: async () => {
        await workspace.lkt('store', commands(), { killAfter: random() * 3000 });
      },
      crowd: async () => {
        const runs = Array.from({ length: 8 }, async () => workspace.lkt('store', commands()));
        for (const { status, stderr } of await Promise.all(runs)) expect(status, stderr).toBe(0);
      },
      full: async () => {
        resize(used() + Math.floor(random() * 8 * 2 ** 20));
        const { status, stderr } = await workspace.lkt('store', commands());
        resize(ROOM);
        expect(stderr).not.toMatch(/^\s+at /m);
        if (status !== 0) expect(stderr).toMatch(/^error: (?:.*\n)*?.*(?:space|full)/im);
      },
      fault: async () => {
        const env = fault.environment(1 + Math.floor(random() * 300), pick(['EIO', 'ENOSPC']));
        const command = commands();
        const { status, stderr } = await workspace.lkt('store', command, { env });
        // Others may find nothing to write.
        if (command.includes('--no-cache')) expect(fault.calls).toBeGreaterThan(0);
        expect(stderr).not.toMatch(/^\s+at /m);
        if (status !== 0) expect(stderr).toMatch(/^error: /m);
        // At once, and not only when the next command removes the files of a dead process.
        expect(readdirSync(join(store, 'tmp')), stderr).toEqual([]);
      },
      clock: async () => {
        const jump = pick([-YEAR_MS, YEAR_MS]);
        for (const item of globSync('**/*', { cwd: store, withFileTypes: true })) {
          // Times of unpacked files are those of the image.
          if (!item.isFile() || item.parentPath.includes('/layers/')) continue;
          const time = (Date.now() + jump) / 1000;
          utimesSync(join(item.parentPath, item.name), time, time);
        }
        expect((await workspace.lkt('store', ['cache', 'prune'])).status).toBe(0);
      },
      greedy: async () => {
        const name = pick(Object.keys(GREEDY));
        const [, flags, message] = GREEDY[name] ?? ['', [], /never/];
        const command = ['pkg', 'build', `pkg/${name}`, ...flags];
        const { status, stderr } = await workspace.lkt('store', command);
        expect(status, stderr).toBe(1);
        expect(stderr).toMatch(message);
      },
    };

    const counts = new Map<string, number>();
    try {
      expect((await workspace.build('store', 'out-begin')).status).toBe(0);
      const end = performance.now() + seconds * 1000;
      const names = Object.keys(rounds);
      for (let round = 0; performance.now() < end || round < names.length; round += 1) {
        // Each kind once, then kills mostly.
        const name = names[round] ?? pick(['kill', 'kill', 'kill', ...names]);
        counts.set(name, (counts.get(name) ?? 0) + 1);
        const others = groups();
        await rounds[name]?.();
        await untilGone(groups, others);
        const built = await workspace.build('store', 'out-after');
        expect(built.stderr, `after ${name}, round ${round}`).not.toMatch(/^error/m);
        expect(workspace.digestsIn('out-after'), `after ${name}, round ${round}`).toEqual(honest);
        await untilGone(() => processesIn(place.path));
        expect(readdirSync(join(store, 'tmp')), `after ${name}, round ${round}`).toEqual([]);
        for (const output of globSync('out-*', { cwd: place.path }))
          rmSync(workspace.at(output), { recursive: true });
      }
      const verified = await workspace.lkt('store', ['cache', 'verify']);
      expect(verified.status, verified.stderr).toBe(0);
      expect(readFileSync('/proc/self/mounts', 'utf8').split(place.path)).toHaveLength(2);
    } finally {
      execFileSync('umount', ['-l', store]);
      console.log(`rounds: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`);
    }
  },
);
