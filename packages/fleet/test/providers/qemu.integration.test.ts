import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { findBootFiles, killMachine } from '@lkt/machine';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { expect, test } from 'vitest';
import { filesOf } from '../../src/providers/qemu/node-record.ts';
import { QemuProvider } from '../../src/providers/qemu/provider.ts';
import type { MachineImage } from '../../src/provider.ts';
import { EXAMPLE_LABELS } from '../example-labels.ts';
import { describeProvider } from '../provider-conformance.ts';
import { writeTinyImage } from '../../../machine/test/tiny-kernel.ts';

describeProvider('qemu', async () => {
  const dir = guardedDirectory('lkt-fleet-');
  const state = join(dir.path, 'state');
  const image = async (cmdline: string): Promise<MachineImage> => {
    const prefix = join(dir.path, cmdline);
    await writeTinyImage(prefix, cmdline);
    return { digest: digestOf(cmdline), files: await findBootFiles(prefix) };
  };
  return {
    open: async () => new QemuProvider({ dir: state, accelerator: 'tcg' }),
    image: await image('hello'),
    otherImage: await image('other'),
    template: { cpus: 1, memory: 4, publish: [8080], volumes: [] },
    consoleText: 'hello',
    impossible: { name: '../escape' },
    powerOff: async ({ name }) => killMachine(filesOf(join(state, 'nodes', name))),
    [Symbol.asyncDispose]: async () => {
      // The last test destroyed every node; volumes and images stay.
      expect(readdirSync(join(state, 'nodes'))).toEqual([]);
      await dir[Symbol.asyncDispose]();
    },
  };
});

test('hands metadata to the guest by a disk that only its owner reads, and keeps it nowhere else', async () => {
  await using dir = guardedDirectory('lkt-fleet-');
  const prefix = join(dir.path, 'tiny');
  await writeTinyImage(prefix, 'hello');
  await using provider = new QemuProvider({ dir: join(dir.path, 'state'), accelerator: 'tcg' });
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const image = { digest: digestOf('hello'), files: await findBootFiles(prefix) };
  const request = {
    name: 'web-0123abcd-0',
    image: await provider.prepare(image, options),
    labels: EXAMPLE_LABELS,
    template: { cpus: 1, memory: 4, publish: [], volumes: [] },
    metadata: Buffer.from('{"token":{"content":"hunter2"}}'),
    settings: undefined,
  };
  await provider.create(request, options);
  const state = join(dir.path, 'state');
  const paths = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const found = paths.filter((path) => readFileSync(path).includes('hunter2'));
  expect(found).toEqual([join(state, 'nodes', request.name, 'metadata.iso')]);
  expect(statSync(found[0] ?? '').mode & 0o777).toBe(0o600);
  const pid = readFileSync(join(state, 'nodes', request.name, 'pid'), 'utf8').trim();
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('metadata.iso');
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain('hunter2');
  expect(JSON.stringify(await provider.list(EXAMPLE_LABELS.fleet, options))).not.toContain(
    'hunter2',
  );
  for (let tries = 0; tries < 50; tries += 1) {
    const [node] = await provider.list(EXAMPLE_LABELS.fleet, options);
    if (node === undefined) return;
    await provider.destroy(node.id, { ...options, graceMs: 0 });
  }
});

test('ends the process of a node whose directory was removed', async () => {
  await using dir = guardedDirectory('lkt-fleet-');
  const prefix = join(dir.path, 'tiny');
  await writeTinyImage(prefix, 'hello');
  const state = join(dir.path, 'state');
  await using provider = new QemuProvider({ dir: state, accelerator: 'tcg' });
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const image = { digest: digestOf('hello'), files: await findBootFiles(prefix) };
  const create = async (name: string): Promise<string> => {
    await provider.create(
      {
        name,
        image: await provider.prepare(image, options),
        labels: EXAMPLE_LABELS,
        template: { cpus: 1, memory: 4, publish: [], volumes: [] },
        metadata: undefined,
        settings: undefined,
      },
      options,
    );
    return readFileSync(join(state, 'nodes', name, 'pid'), 'utf8').trim();
  };
  const first = await create('web-0123abcd-0');
  const second = await create('web-0123abcd-1');
  rmSync(join(state, 'nodes/web-0123abcd-0'), { recursive: true });
  // The first QEMU may remove the new one's file, which has its path, when it ends.
  await create('web-0123abcd-0');
  await expect.poll(() => existsSync(`/proc/${first}`) && commandOf(first)).toBeFalsy();
  expect(commandOf(second)).toContain('web-0123abcd-1');
  rmSync(join(state, 'nodes/web-0123abcd-0/pid'), { force: true });
  const powers = (await provider.list(EXAMPLE_LABELS.fleet, options)).map(({ power }) => power);
  expect(powers).toEqual(['running', 'running']);
  for (const name of ['web-0123abcd-0', 'web-0123abcd-1'])
    killMachine(filesOf(join(state, 'nodes', name)));
});

test('has no capacity while the disk is full, and leaves nothing half-made', async () => {
  await using dir = guardedDirectory('lkt-fleet-');
  const prefix = join(dir.path, 'tiny');
  await writeTinyImage(prefix, 'hello');
  const state = join(dir.path, 'state');
  mkdirSync(state);
  // Room for the records of generations, and not for a kernel.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', state]);
  try {
    await using provider = new QemuProvider({ dir: state, accelerator: 'tcg' });
    const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
    const files = await findBootFiles(prefix);
    const fill = join(state, 'fill');
    try {
      writeFileSync(fill, Buffer.alloc(64 * 1024));
    } catch {
      // It is full.
    }
    const image = { digest: digestOf('hello'), files };
    await expect(provider.prepare(image, options)).rejects.toMatchObject({
      failure: 'capacity',
      message: `there is no space left for ${state}`,
      fix: 'make space on its file system; images that no node runs are removed after a week',
    });
    expect(await provider.list(EXAMPLE_LABELS.fleet, options)).toEqual([]);
    rmSync(fill);
    expect(await provider.prepare(image, options)).toMatch(/^[0-9a-f]{64}$/);
  } finally {
    execFileSync('umount', [state]);
  }
});

function commandOf(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
}
