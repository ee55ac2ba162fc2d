import { mkdir, mkdtempDisposable, readdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestHex, digestOf } from '@lkt/core';
import { openStore, parseReference } from '@lkt/oci';
import { expect, test } from 'vitest';
import { openMachineImage, writeMachineImage } from '../../src/image/machine-image.ts';
import type { CallOptions, MachineImage, Provider } from '../../src/provider.ts';
import { netboot } from '../../src/providers/netboot/kind.ts';
import { formatNodeRecord } from '../../src/providers/node-record.ts';
import { QemuProvider } from '../../src/providers/qemu/provider.ts';
import { EXAMPLE_LABELS } from '../example-labels.ts';

const OPTIONS: CallOptions = { generation: 1, signal: new AbortController().signal };
const record = formatNodeRecord({
  labels: { ...EXAMPLE_LABELS, fleet: 'other', image: digestOf('used') },
  published: new Map(),
});

/** Makes all entries of a directory look as if they were made long ago. */
async function age(dir: string, days: number): Promise<void> {
  const then = new Date(Date.now() - days * 86_400_000);
  for (const name of await readdir(dir)) await utimes(join(dir, name), then, then);
}

async function imageIn(dir: string, name: string): Promise<MachineImage> {
  const kernel = join(dir, 'kernel');
  await writeFile(kernel, name);
  return { digest: digestOf(name), files: { kernel, cmdline: name } };
}

interface Case {
  readonly open: (dir: string) => Promise<Provider>;
  /** Directory of the images, and file of the record of a node. */
  readonly images: string;
  readonly node: string;
}

const CASES: Readonly<Record<string, Case>> = {
  qemu: {
    open: async (dir) => new QemuProvider({ dir, accelerator: 'tcg' }),
    images: 'images',
    node: 'nodes/web-0/node.json',
  },
  netboot: {
    open: async (dir) =>
      netboot.open(
        { state: dir, command: ['true'], machines: new Map([['rack-0', { mac: '' }]]) },
        { dir, stateDir: dir, variables: {}, signal: OPTIONS.signal, warn: () => undefined },
      ),
    images: 'boot/images',
    node: 'nodes/rack-0.json',
  },
};

test.for(Object.keys(CASES))('%s keeps images that nodes run or a file wants', async (kind) => {
  const { open, images, node } = CASES[kind] ?? CASES['qemu']!;
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  await using provider = await open(dir.path);
  const prepare = async (name: string): Promise<string> =>
    provider.prepare(await imageIn(dir.path, name), OPTIONS);
  for (const name of ['used', 'old', 'wanted']) await prepare(name);
  await mkdir(join(dir.path, images, `${digestHex(digestOf('lost'))}.new`));
  await mkdir(join(dir.path, node, '..'), { recursive: true });
  await writeFile(join(dir.path, node), record);
  const kept = async (): Promise<ReadonlySet<string>> =>
    new Set(await readdir(join(dir.path, images)));
  await age(join(dir.path, images), 6);
  await prepare('six');
  expect((await kept()).size).toBe(5);
  await age(join(dir.path, images), 8);
  await prepare('wanted');
  await prepare('new');
  const ids = ['used', 'wanted', 'new'].map((name) => digestHex(digestOf(name)));
  expect(await kept()).toEqual(new Set(ids));
});

test('removes images that were not opened for a week', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const store = await openStore(join(dir.path, 'store'));
  const images = join(dir.path, 'images');
  const open = async (name: string): Promise<string> => {
    const prefix = join(dir.path, name);
    for (const part of ['kernel', 'initrd.img']) await writeFile(`${prefix}-${part}`, name);
    const reference = parseReference(`example.com/web:${name}`);
    const { digest } = await writeMachineImage(store, prefix, reference);
    await openMachineImage(store, digest, images);
    return digestHex(digest);
  };
  const [one] = [await open('one'), await open('two')];
  await age(images, 8);
  await open('one');
  const three = await open('three');
  expect(new Set(await readdir(images))).toEqual(new Set([one, three]));
});
