import { zstdFrameHeader, zstdRawBlocks } from '@lkt/oci';
import { cpioHeader, cpioTrailer, cpioPadding } from '@lkt/formats';
import type { CachedFile, CachedRange } from '../cache.ts';
import type { RootEntry } from '../tree/merge.ts';
import type { PackedContent } from '../tree/packed-files.ts';
import type { Segment } from './segment.ts';

/** Bytes of an initrd: of a file of the cache, of a part of one, or at hand. */
export type InitrdPiece = CachedFile | CachedRange | Uint8Array;

/** From this window on blocks may be 128 KiB long (RFC 8878, 3.1.1.2.4), as `zstdRawBlocks` makes them. */
const MIN_WINDOW_LOG = 17;

/** A file whose content is packed already, with all its names. */
interface PackedEntry {
  readonly names: readonly RootEntry[];
  readonly content: PackedContent;
}

/**
 * Takes the files out of a segment whose contents are packed already: each is an archive of its own, a frame of zstd in which
 * the blocks of the content stand between headers that are not compressed. So the content is compressed once, wherever it
 * is put. The rest, with all directories, is to come before them.
 */
export function takePacked(segment: Segment): {
  readonly rest: Segment;
  readonly packed: readonly InitrdPiece[];
} {
  const entries: PackedEntry[] = [];
  const parts = segment.parts.map(({ part, others }) => {
    const { contents } = part;
    if (contents.packed === undefined) return { part, others };
    const files = new Map<string, RootEntry[]>();
    const rest: RootEntry[] = [];
    for (const entry of others) {
      const { content } = entry;
      if (content === undefined || contents.packed(content) === undefined) rest.push(entry);
      else if (files.get(content)?.push(entry) === undefined) files.set(content, [entry]);
    }
    for (const [name, names] of files) {
      const content = contents.packed(name);
      if (content !== undefined) entries.push({ names, content });
    }
    return { part, others: rest };
  });
  return { rest: { ...segment, parts }, packed: archivesOf(entries) };
}

/** What is at hand between two contents is one piece. */
function archivesOf(entries: readonly PackedEntry[]): readonly InitrdPiece[] {
  const pieces: InitrdPiece[] = [];
  let atHand: Uint8Array[] = [];
  for (const { names, content } of entries) {
    const { range, windowLog } = content;
    const start = startOf(names, windowLog);
    const size = names.at(-1)?.size ?? 0;
    const end = zstdRawBlocks(Buffer.concat([cpioPadding(size), cpioTrailer()]), { isLast: true });
    pieces.push(Buffer.concat([...atHand, start]), range);
    atHand = [end, cpioPadding(start.length + range.size + end.length)];
  }
  if (atHand.length > 0) pieces.push(Buffer.concat(atHand));
  return pieces;
}

function startOf(names: readonly RootEntry[], windowLog: number): Buffer {
  const inode = { number: 1, links: names.length };
  // The content stands with the last of the names, as cpio writes it.
  const headers = names.map((entry, index) =>
    cpioHeader(entry, inode, index === names.length - 1 ? entry.size : 0),
  );
  return Buffer.concat([
    zstdFrameHeader(Math.max(MIN_WINDOW_LOG, windowLog)),
    zstdRawBlocks(Buffer.concat(headers), { isLast: false }),
  ]);
}
