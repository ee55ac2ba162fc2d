import { readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { findBootFiles, killMachine } from '@lkt/machine';
import { expect } from 'vitest';
import { filesOf } from '../../src/providers/qemu/node-record.ts';
import { QemuProvider } from '../../src/providers/qemu/provider.ts';
import type { MachineImage } from '../../src/provider.ts';
import { describeProvider } from '../provider-conformance.ts';
import { writeTinyImage } from '../../../machine/test/tiny-kernel.ts';

describeProvider('qemu', async () => {
  const dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
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
