import { execFileSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import {
  globSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { startRegistry } from '@lkt/testing';
import { expect, test } from 'vitest';
import { IoFault } from './io-fault.ts';
import { KillTimes, START, TENTHS } from './kill-times.ts';
import { OwnGroups } from './own-groups.ts';
import { type Outcome, SmallWorkspace } from './small-workspace.ts';

/** How long to go on; `npm run test:soak` sets an hour. */
const given = process.env['LKT_SOAK_SECONDS'];
const seconds = Number(given ?? '60');
/** Repeats a run: its choices, not its races. */
const seed = Number(process.env['LKT_SOAK_SEED'] ?? randomInt(2 ** 31));

/** Bytes of the file system of the store, when it is not filled on purpose. */
const ROOM = 32 * 2 ** 20;
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
  disk: [`head -c ${ROOM} /dev/zero > /full`, [], /its file system is full$/m],
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
    using groups = new OwnGroups(basename(place.path));
    const workspace = new SmallWorkspace(place.path, groups.argv);
    await workspace.write('store-first');
    for (const [name, [command]] of Object.entries(GREEDY))
      workspace.addPackage(name, `FROM example/tools\nRUN ${command}\n`);
    workspace.addPackage('remote', 'FROM example/tools\nCOPY bytes /\n');
    writeFileSync(workspace.at('pkg/remote/bytes'), randomBytes(2 ** 20));
    workspace.commit();
    await workspace.lkt('store-first', ['pin']);
    workspace.commit();
    expect((await workspace.build('store-first', 'out')).status).toBe(0);
    await using registry = await startRegistry();
    const org = `${registry.host}/team`;
    const pushed = await workspace.lkt('store-first', ['pkg', 'push', '--org', org, 'pkg/remote']);
    expect(pushed.status, pushed.stderr).toBe(0);
    const [tag = ''] = registry.storage.repositories.get('team/remote')?.tags.keys() ?? [];
    const remote = `${org}/remote:${tag}`;
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
    const commands: Readonly<Record<string, () => readonly string[]>> = {
      rebuild: () => ['pkg', 'build', '--force', '--no-cache', '--deps', 'pkg/app'],
      build: () => ['pkg', 'build', '--force', '--deps', 'pkg/app'],
      compose: () => workspace.imageCommand(`out-${Math.floor(random() * 1e9)}`),
      pull: () => ['cache', 'pull', remote],
      prune: () => ['cache', 'prune', '--keep-storage', '1K'],
      verify: () => ['cache', 'verify', '--remove'],
    };
    const command = (): readonly string[] => commands[pick(Object.keys(commands))]?.() ?? [];
    /** Runs a command as a user who has the image of no earlier pull. */
    const run = async (name: string, killAfter?: number): Promise<Outcome> => {
      if (name === 'pull') await workspace.lkt('store', ['cache', 'rm', remote]);
      return workspace.lkt('store', commands[name]?.() ?? [name], { killAfter });
    };
    const times = new KillTimes();
    const runWhole = async (name: string): Promise<void> => {
      const { status, stderr, ms } = await run(name);
      expect(status, stderr).toBe(0);
      times.addWholeRun(name, ms);
    };

    const rounds: Readonly<Record<string, () => Promise<void>>> = {
      kill: async () => {
        const name = pick(Object.keys(commands));
        // A little later than usual, so that the last moments of slow runs are among these.
        const { status, ms } = await run(name, random() * 1.1 * times.usual(name));
        if (status === null) times.addKill(name, ms);
      },
      whole: async () => runWhole(pick([...Object.keys(commands), START])),
      crowd: async () => {
        const runs = Array.from({ length: 8 }, async () => workspace.lkt('store', command()));
        for (const { status, stderr } of await Promise.all(runs)) expect(status, stderr).toBe(0);
      },
      full: async () => {
        resize(used() + Math.floor(random() * 4 * 2 ** 20));
        const { status, stderr } = await workspace.lkt('store', command());
        resize(ROOM);
        expect(stderr).not.toMatch(/^\s+at /m);
        if (status !== 0) expect(stderr).toMatch(/^error: (?:.*\n)*?.*(?:space|full)/im);
      },
      fault: async () => {
        // Mostly a small number: most commands make few calls.
        const env = fault.environment(Math.ceil(300 ** random()), pick(['EIO', 'ENOSPC']));
        const args = command();
        const { status, stderr } = await workspace.lkt('store', args, { env });
        // Others may find nothing to write.
        if (args.includes('--no-cache')) expect(fault.calls).toBeGreaterThan(0);
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
        const args = ['pkg', 'build', `pkg/${name}`, ...flags];
        const { status, stderr } = await workspace.lkt('store', args);
        expect(status, stderr).toBe(1);
        expect(stderr).toMatch(message);
      },
    };

    /** Waits: the kernel takes a moment to end the descendants of a killed process. */
    const expectNothingLeft = async (after: string): Promise<void> => {
      await expect.poll(() => groups.contents(), { interval: 20, message: after }).toEqual([]);
      const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
      expect(mounts.filter((line) => line.includes(place.path))).toHaveLength(1);
    };

    const counts = new Map<string, number>();
    try {
      for (const name of [...Object.keys(commands), START]) await runWhole(name);
      expect((await workspace.build('store', 'out-begin')).status).toBe(0);
      const end = performance.now() + seconds * 1000;
      const names = Object.keys(rounds);
      const kinds = [...names, 'whole', ...Array.from({ length: 12 }, () => 'kill')];
      for (let round = 0; performance.now() < end || round < names.length; round += 1) {
        // Each kind once, then kills mostly.
        const name = names[round] ?? pick(kinds);
        const after = `after ${name}, round ${round}`;
        counts.set(name, (counts.get(name) ?? 0) + 1);
        await rounds[name]?.();
        await expectNothingLeft(after);
        const built = await workspace.build('store', 'out-after');
        expect(built.stderr, after).not.toMatch(/^error/m);
        expect(workspace.digestsIn('out-after'), after).toEqual(honest);
        await expectNothingLeft(after);
        for (const temporary of [join(store, 'tmp'), workspace.at('tmp')])
          expect(readdirSync(temporary), after).toEqual([]);
        for (const output of globSync('out-*', { cwd: place.path }))
          rmSync(workspace.at(output), { recursive: true });
      }
      const verified = await workspace.lkt('store', ['cache', 'verify']);
      expect(verified.status, verified.stderr).toBe(0);
      // About half of the kills come in the second half of a command.
      const late = times.count(TENTHS / 2);
      expect(late, String(times)).toBeGreaterThanOrEqual(Math.floor(times.count() / 20));
    } finally {
      execFileSync('umount', ['-l', store]);
      console.log(`rounds: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`);
      console.log(String(times));
    }
  },
);
