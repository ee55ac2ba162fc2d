import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { findBootFiles } from '@lkt/machine';
import type { MachineImage } from '../../../src/provider.ts';
import { writeTinyImage } from '../../../../machine/test/tiny-kernel.ts';

/** Three machines with BMCs, and a directory for their provider. */
export interface Rack<M> extends AsyncDisposable {
  readonly dir: string;
  /** By name: `rack-0`, `rack-1`, `rack-2`. */
  readonly machines: ReadonlyMap<string, M>;
  /** Has the password of the BMCs. */
  readonly passwordFile: string;
}

/** Starts three machines, which are off. */
export async function startRack<M extends AsyncDisposable>(
  startMachine: () => Promise<M>,
): Promise<Rack<M>> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'))).path;
  const machines = new Map<string, M>();
  for (const index of [0, 1, 2]) machines.set(`rack-${index}`, stack.use(await startMachine()));
  const passwordFile = await writePassword(dir);
  const owned = stack.move();
  return {
    dir,
    machines,
    passwordFile,
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

/** Writes the password of the BMCs into a directory. Returns the path of the file. */
export async function writePassword(dir: string): Promise<string> {
  const path = join(dir, 'password');
  await writeFile(path, 'test\n', { mode: 0o600 });
  return path;
}

/** Returns the hardware address of a machine. */
export function macOf(index: number): string {
  return `52:54:00:12:34:0${index}`;
}

/** Writes an image that prints its command line into a directory. */
export async function imageIn(dir: string, cmdline: string): Promise<MachineImage> {
  const prefix = join(dir, cmdline.replaceAll(' ', '-'));
  await writeTinyImage(prefix, cmdline);
  return { digest: digestOf(cmdline), files: await findBootFiles(prefix) };
}
