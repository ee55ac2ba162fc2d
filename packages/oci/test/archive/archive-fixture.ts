import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  type Descriptor,
  exportImage,
  type ExportOptions,
  openStore,
  parsePlatform,
  type Platform,
  type Reference,
  parseReference,
  type Store,
  writeImage,
  writeIndex,
  writeLayer,
} from '../../src/index.ts';
import { collect, directory, file } from '../support.ts';

export const NAME: Reference = parseReference('registry.example/team/app:1');
export const FULL = 'registry.example/team/app:1';
export const ARM: Platform = parsePlatform('linux/arm64');
export const AMD: Platform = parsePlatform('linux/amd64');

export async function temporary(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lkt-archive-'));
  onTestFinished(async () => rm(path, { recursive: true }));
  return path;
}

export async function newStore(): Promise<Store> {
  return openStore(await temporary());
}

export async function newImage(
  store: Store,
  platform: Platform = AMD,
  content = 'x',
): Promise<Descriptor> {
  const layers = [
    await writeLayer(store, [file('one', content)]),
    await writeLayer(store, [directory('dir'), file('dir/two', `${content}2`)]),
  ];
  return writeImage(store, { config: { config: { Cmd: ['/one'] } }, layers, platform });
}

export async function newIndex(store: Store): Promise<Descriptor> {
  return writeIndex(store, [await newImage(store), await newImage(store, ARM, 'arm')]);
}

export async function exported(
  store: Store,
  descriptor: Descriptor,
  options: Partial<ExportOptions> = {},
): Promise<Buffer> {
  return collect(
    await exportImage(store, descriptor, { reference: NAME, format: 'oci', ...options }),
  );
}
