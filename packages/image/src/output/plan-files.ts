import { isBoot } from '../initrd/segment.ts';
import { MANIFEST_PATH } from '../initrd/manifest.ts';
import type { Plan } from '../plan.ts';
import { type FileSystem, fileSystemOf, type FsEntry } from './file-system.ts';

/** The root of a planned image, without `boot/`, as a file system. */
export function planFiles({ root, manifest }: Plan): FileSystem {
  const text = Buffer.from(manifest);
  const wanted = new Map<number, Set<string>>();
  const entries: FsEntry[] = [];
  for (const { part, wantedBy: _, isWeak: __, content, ...entry } of root.entries.values()) {
    if (isBoot(entry.path)) continue;
    const label = root.parts[part]?.label ?? '';
    if (entry.path === MANIFEST_PATH) {
      entries.push({ ...entry, mode: 0o444, size: text.length, file: MANIFEST_PATH, label });
    } else if (content === undefined || entry.type !== 'file') {
      entries.push({ ...entry, label });
    } else {
      entries.push({ ...entry, file: fileOf(part, content), label });
      if (entry.size === 0) continue;
      const names = wanted.get(part) ?? new Set();
      wanted.set(part, names.add(content));
    }
  }
  return fileSystemOf(entries, async function* () {
    for (const [part, names] of wanted)
      for await (const { name, data } of root.parts[part]?.contents.read(names) ?? [])
        yield { file: fileOf(part, name), data };
    yield { file: MANIFEST_PATH, data: once(text) };
  });
}

function fileOf(part: number, content: string): string {
  return `${part} ${content}`;
}

async function* once(data: Buffer): AsyncGenerator<Uint8Array> {
  yield data;
}
