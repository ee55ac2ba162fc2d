import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Digest } from '@lkt/core';
import { loadImage, openStore, parsePlatform } from '@lkt/oci';
import { tinyProgram } from '@lkt/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDockerd } from '../../buildkit/test/dockerd.ts';
import { main } from './program.ts';

const directory = mkdtempDisposableSync(join(tmpdir(), 'lkt-emulation-'));
let machine: ChildProcess;

// As in Debian's qemu-user-binfmt: programs for arm64; the flag F makes it work in any root
// directory.
const MAGIC = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;
const HANDLER = `:lkt-test-${process.pid}:M::${MAGIC}:${MASK}:/usr/bin/qemu-aarch64:POCF`;

beforeAll(async () => {
  // The registration ends with its mount namespace, and is invisible to other tests.
  const script = `mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf '%s' '${HANDLER}' > /proc/sys/fs/binfmt_misc/register && echo ready && exec sleep infinity`;
  machine = spawn('unshare', ['--mount', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(machine.stdout ?? machine, 'data')) as [Buffer];
  expect(said.toString()).toBe('ready\n');
  const files = {
    'pkg/tool/build.yml': 'org: example\nimage: tool\narches: [amd64, arm64]\n',
    'pkg/tool/Dockerfile':
      'FROM scratch\nARG TARGETARCH\nCOPY tiny-$TARGETARCH /tiny\nRUN ["/tiny"]\n',
    'pkg/tool/tiny-amd64': tinyProgram('amd64'),
    'pkg/tool/tiny-arm64': tinyProgram('arm64'),
  };
  for (const [path, content] of Object.entries(files)) {
    const file = join(directory.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: path.includes('tiny') ? 0o755 : 0o644 });
  }
});

afterAll(async () => {
  machine.kill();
  await once(machine, 'exit');
  directory.remove();
});

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param around additional environment variables */
function lkt(
  store: string,
  words: readonly string[],
  {
    emulates = true,
    around = {},
  }: { emulates?: boolean; around?: Readonly<Record<string, string>> } = {},
): Result {
  const command = [process.execPath, main, ...words];
  const inside = ['nsenter', `--mount=/proc/${machine.pid ?? 0}/ns/mnt`, '--wd=.', ...command];
  const [program = '', ...args] = emulates ? inside : command;
  return spawnSync(program, args, {
    cwd: directory.path,
    env: {
      PATH: process.env['PATH'],
      HOME: directory.path,
      NO_COLOR: '1',
      LKT_CACHE: join(directory.path, store),
      ...around,
    },
    encoding: 'utf8',
  });
}

test('builds a package for two architectures, one by emulation, into one index', async () => {
  const built = lkt('one', [
    'pkg',
    'build',
    '--json',
    'pkg/tool',
    '--platforms',
    'linux/amd64,linux/arm64',
  ]);
  expect(built.stderr).toMatch(/\| amd64$/m);
  expect(built.stderr).toMatch(/\| arm64$/m);
  const { packages } = JSON.parse(built.stdout) as { packages: [{ digest: Digest }] };
  const [{ digest }] = packages;
  const store = await openStore(join(directory.path, 'one'));
  const layers = [];
  for (const name of ['linux/amd64', 'linux/arm64']) {
    const image = await loadImage(store, digest, parsePlatform(name));
    expect(image.config.architecture).toBe(name.slice('linux/'.length));
    layers.push(image.config.rootfs.diff_ids);
  }
  // The programs differ, but their output is the same.
  expect(layers[0]?.[0]).not.toBe(layers[1]?.[0]);
  expect(layers[0]?.[1]).toBe(layers[1]?.[1]);
  // Separate builds end in the same index.
  lkt('two', ['pkg', 'build', 'pkg/tool', '--platforms', 'linux/arm64']);
  const second = lkt('two', ['pkg', 'build', '--json', 'pkg/tool', '--platforms', 'linux/amd64']);
  const whole = lkt('two', [
    'pkg',
    'build',
    '--json',
    'pkg/tool',
    '--platforms',
    'linux/amd64,linux/arm64',
  ]);
  expect(second.status).toBe(0);
  expect(JSON.parse(whole.stdout)).toMatchObject({ packages: [{ digest, cached: true }] });
});

test('names alternatives on a machine without emulation', () => {
  const built = lkt(
    'three',
    ['pkg', 'build', 'pkg/tool', '--platforms', 'linux/amd64,linux/arm64'],
    { emulates: false },
  );
  expect(built.status).toBe(1);
  expect(built.stderr).toContain(
    'error: pkg/tool/Dockerfile:4:1: RUN for linux/arm64 needs such a machine or an emulator',
  );
  expect(built.stderr).toMatch(
    /fix: build it with BuildKit: --builder linux\/arm64=ADDRESS, or .*qemu-user-binfmt/,
  );
});

function digestOf({ stdout }: Result): unknown {
  return (JSON.parse(stdout) as { packages: [{ digest: unknown }] }).packages[0].digest;
}

test('builds each architecture on its BuildKit, into the same index', async () => {
  await using dockerd = await startDockerd(join(directory.path, 'docker'));
  const words = ['pkg', 'build', '--json', 'pkg/tool', '--platforms', 'linux/amd64,linux/arm64'];
  const ours = lkt('one', words);
  const theirs = lkt('four', [...words, '--builder', 'linux/arm64=buildx:default'], {
    emulates: false,
    around: dockerd.environment,
  });
  expect(theirs.stderr).not.toContain('error');
  expect(digestOf(theirs)).toBe(digestOf(ours));
});
