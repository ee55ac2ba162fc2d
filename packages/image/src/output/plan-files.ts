import { type Digest, digestOf } from '@lkt/core';
import { type RawPath, singleChunk } from '@lkt/oci';
import { type FileSystem, fileSystemOf, type FsEntry } from '@lkt/formats';
import { isBoot } from '../initrd/segment.ts';
import { MANIFEST_PATH } from '../initrd/manifest.ts';
import type { Plan } from '../plan.ts';
import { entryRow } from '../tree/entry-row.ts';
import type { Root, RootEntry } from '../tree/merge.ts';
import type { Contents, Part } from '../tree/part.ts';

/** Returns the root of a planned image, without `boot/`, as a file system. */
export function planFiles({ root, manifest }: Plan): FileSystem {
  const texts = new Map([[MANIFEST_PATH, Buffer.from(manifest)]]);
  return filesOf(root.parts, rootEntries(root), texts);
}

/** Returns a digest of all that determines the bytes of `planFiles`. */
export function planKey({ root, manifest }: Plan): Digest {
  return digestOf([filesKey(root.parts, rootEntries(root)), manifest].join('\n'));
}

function rootEntries({ entries }: Root): readonly RootEntry[] {
  return [...entries.values()].filter(({ path }) => !isBoot(path));
}

/** Returns a digest of all that determines the bytes of `filesOf` without texts. */
export function filesKey(parts: readonly Part[], entries: Iterable<RootEntry>): Digest {
  const keys = parts.map(({ contents }) => digestOf(contents.key));
  const lines = Array.from(entries, (entry) => {
    const { part, link, devMajor, devMinor, content, xattrs = [] } = entry;
    const attributes = [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('hex')]);
    const from = content === undefined ? [] : [keys[part], content];
    return JSON.stringify([...entryRow(entry), link, devMajor, devMinor, attributes, ...from]);
  });
  return digestOf(lines.join('\n'));
}

/**
 * Returns entries of parts as a file system.
 * @param texts contents in memory, by path
 */
export function filesOf(
  parts: readonly Part[],
  from: Iterable<RootEntry>,
  texts: ReadonlyMap<RawPath, Buffer> = new Map(),
): FileSystem {
  // By key of the contents: parts of one image share them.
  const wanted = new Map<string, { readonly contents: Contents; readonly names: Set<string> }>();
  const entries: FsEntry[] = [];
  for (const { part, wantedBy: _, isWeak: __, content, ...entry } of from) {
    const { label = '', contents } = parts[part] ?? {};
    const text = texts.get(entry.path);
    if (text !== undefined) {
      entries.push({ ...entry, mode: 0o444, size: text.length, file: entry.path, label });
    } else if (content === undefined || contents === undefined || entry.type !== 'file') {
      entries.push({ ...entry, label });
    } else {
      const file = `${part} ${content}`;
      entries.push({ ...entry, file, content: contentOf(contents.key, content), label });
      if (entry.size === 0) continue;
      const names = wanted.get(contents.key)?.names ?? new Set();
      wanted.set(contents.key, { contents, names: names.add(content) });
    }
  }
  return fileSystemOf(entries, async function* () {
    for (const [key, { contents, names }] of wanted)
      for await (const { name, data } of contents.read(names))
        yield { content: contentOf(key, name), data };
    for (const [path, text] of texts) yield { content: path, data: singleChunk(text) };
  });
}

function contentOf(key: string, name: string): string {
  return `${key}\0${name}`;
}
