import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDigest } from '@lkt/core';
import {
  decompressLayer,
  fromRaw,
  type Image,
  loadImage,
  openStore,
  readTar,
  type Store,
} from '@lkt/oci';

const platform = { os: 'linux', architecture: 'amd64' } as const;

/** The contents of an image, for comparison with another. */
export interface BuiltImage {
  readonly diffIds: readonly string[];
  /** Whether the files have meaningful times. */
  readonly hasTimes: boolean;
  /** Each path with its properties as one line of text. */
  readonly files: () => Promise<ReadonlyMap<string, string>>;
  /** The `config` object of the image config. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Loads the image of an OCI layout with one image. */
export async function onlyImage(layout: string): Promise<BuiltImage> {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  return builtImage(layout, index.manifests[0]?.digest ?? '');
}

export async function builtImage(layout: string, digest: string): Promise<BuiltImage> {
  const store = await openStore(layout);
  const image = await loadImage(store, parseDigest(digest), platform);
  const { config = {}, rootfs } = image.config;
  return {
    diffIds: rootfs.diff_ids,
    hasTimes: true,
    files: async () => filesOf(store, image),
    config: { ...config },
  };
}

/** Merges layers independently of the product's code. */
async function filesOf(store: Store, image: Image): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const layer of image.manifest.layers) {
    const added = new Map<string, string>();
    const covered: string[] = [];
    for await (const entry of readTar(decompressLayer(layer, store.read(layer)))) {
      const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
      const above = entry.path.slice(0, entry.path.length - name.length);
      if (name === '.wh..wh..opq') {
        covered.push(above);
        continue;
      }
      if (name.startsWith('.wh.')) {
        covered.push(`${above}${name.slice(4)}`, `${above}${name.slice(4)}/`);
        continue;
      }
      const {
        type,
        mode,
        uid,
        gid,
        mtime,
        link = '',
        xattrs = new Map<string, Uint8Array>(),
      } = entry;
      if (type === 'hardlink') {
        added.set(entry.path, added.get(link) ?? `hard link to ${fromRaw(link)}`);
        continue;
      }
      if (type !== 'directory') covered.push(`${entry.path}/`);
      const hash = createHash('sha256');
      if (entry.content !== undefined) for await (const chunk of entry.content) hash.update(chunk);
      const attributes = [...xattrs].map(
        ([key, value]) => `${key}=${Buffer.from(value).toString('hex')}`,
      );
      added.set(
        entry.path,
        [
          [type, mode.toString(8), `${uid}:${gid}`, `@${mtime}`],
          type === 'file' ? [hash.digest('hex').slice(0, 16)] : [fromRaw(link)],
          attributes.toSorted(),
        ]
          .flat()
          .join(' ')
          .trim(),
      );
    }
    const isCovered = (path: string): boolean =>
      covered.some(
        (prefix) => path === prefix || (prefix.endsWith('/') && path.startsWith(prefix)),
      );
    for (const path of files.keys()) if (isCovered(path)) files.delete(path);
    for (const [path, line] of added) files.set(path, line);
  }
  return files;
}

/** Returns a line for each difference between two images. */
export async function differences(one: BuiltImage, other: BuiltImage): Promise<readonly string[]> {
  // Equal layers make equal files.
  if (one.diffIds.join() === other.diffIds.join()) return [];
  const [first, second] = [await one.files(), await other.files()];
  const hasTimes = one.hasTimes && other.hasTimes;
  const shown = (line = 'nothing'): string => (hasTimes ? line : line.replace(/ @\d+/, ''));
  return [...new Set([...first.keys(), ...second.keys()])].toSorted().flatMap((path) => {
    const [a, b] = [shown(first.get(path)), shown(second.get(path))];
    return a === b ? [] : [`${fromRaw(path)}: ${a} | ${b}`];
  });
}
