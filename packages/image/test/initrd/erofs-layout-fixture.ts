import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPath, type Store } from '@lkt/oci';
import { expect } from 'vitest';
import { readInitrd } from '@lkt/formats';
import { compose } from '../compose-fixture.ts';
import { chunks, collect, type Content, image, sampleConfig } from '../support.ts';

export const LISTS: readonly string[] = ['usr/share/lkt/manifest', 'usr/share/lkt/roots'];

/** Returns the sample config with an init and a command line that support erofs. */
export async function erofsConfig(
  store: Store,
  kernel?: Readonly<Record<string, Content>>,
): Promise<string> {
  const able = await image(store, [{ able: '1' }], { Labels: { 'lkt.guest.features': 'erofs' } });
  const text = (await sampleConfig(store))
    .replace('console=ttyS0', 'console=ttyS0 rootfstype=ramfs')
    .replace('\nonboot:', `\n  - lkt/able:1@${able}\nonboot:`);
  const named = kernel && (await image(store, [kernel]));
  const own =
    named === undefined ? text : text.replace(/lkt\/kernel:1@\S+/, `lkt/kernel:1@${named}`);
  return `${own}layout: erofs\n`;
}

/** Composes an image and returns the path of its outputs, without their endings. */
export async function composeAt(...given: Parameters<typeof compose>): Promise<string> {
  return join((await compose(...given)).outDir, 'system');
}

/** Returns the files that the kernel unpacks from an initrd, by path; directories are empty. */
export async function filesOf(path: string): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const seen = new Set(['']);
  for await (const entry of readInitrd(chunks(readFileSync(path)))) {
    expect(seen).toContain(parentPath(entry.path));
    if (entry.type === 'directory') seen.add(entry.path);
    else files.set(entry.path, await collect(entry.content ?? chunks(Buffer.of())));
  }
  return files;
}

export interface Listed {
  readonly sum: string;
  readonly file: string;
  readonly target: string;
}

export function listed(files: ReadonlyMap<string, Buffer>): readonly Listed[] {
  const [head, ...lines] = (files.get('usr/share/lkt/roots') ?? '').toString().trim().split('\n');
  expect(head).toBe(`lkt-roots 1 ${lines.length}`);
  return lines.map((line) => {
    const [sum = '', file = '', target = ''] = line.split(' ');
    return { sum, file, target };
  });
}
