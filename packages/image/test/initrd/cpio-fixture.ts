import { type segmentArchive, segmentsOf } from '../../src/initrd/segment.ts';
import { mergeParts } from '../../src/tree/merge.ts';
import type { Content, Contents, Part, TreeEntry } from '../../src/tree/part.ts';
import { chunks } from '../support.ts';

export interface Item {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'name' | 'symlink';
  readonly content?: string;
  readonly of?: string;
  readonly mode?: number;
}

export const BASE = { mode: 0o644, uid: 0, gid: 0, mtime: 100, size: 0 } as const;

export function onlySegment(items: readonly Item[]): Parameters<typeof segmentArchive>[0] {
  const contents = new Map<string, string>();
  const placed = items.map((item): TreeEntry => {
    const { kind, content = '', of, mode = 0o777 } = item;
    const path = Buffer.from(item.path).toString('latin1');
    const base = { ...BASE, path, mode };
    if (kind === 'directory') return { ...base, type: 'directory' };
    if (kind === 'symlink')
      return {
        ...base,
        mode: 0o777,
        type: 'symlink',
        link: Buffer.from(content).toString('latin1'),
      };
    const source = items.find((other) => other.path === of) ?? item;
    const text = source.content ?? '';
    contents.set(source.path, text);
    const size = Buffer.byteLength(text);
    return { ...base, type: 'file', size, content: source.path };
  });
  const [segment] = segmentsOf(mergeParts([part(placed, contents)]));
  return segment ?? { name: 'empty', parts: [], directories: [] };
}

export function part(entries: readonly TreeEntry[], contents: ReadonlyMap<string, string>): Part {
  const source: Contents = {
    key: 'test',
    async *read(wanted): AsyncGenerator<Content> {
      for (const [name, text] of contents)
        if (wanted.has(name)) yield { name, data: chunks(Buffer.from(text)) };
    },
  };
  const origin = { source: 'img', location: 'init[0]' };
  return { origin, label: 'img', isRoot: true, segment: 's', entries, contents: source };
}
