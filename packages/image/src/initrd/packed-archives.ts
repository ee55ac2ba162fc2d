import { zstdFrameHeader, zstdRawBlocks } from '@lkt/oci';
import { cpioHeader, cpioTrailer, cpioPadding } from '@lkt/formats';
import type { CachedFile } from '../cache.ts';
import { namesByContent, type RootEntry } from '../tree/merge.ts';
import type { PackedContent, PackedRange } from '../tree/packed-files.ts';
import type { Segment } from './segment.ts';

/** Bytes of an initrd: a file of the cache, a part of one, or bytes in memory. */
export type InitrdPiece = CachedFile | PackedRange | Uint8Array;

/** Blocks may be 128 KiB long from this window on (RFC 8878, 3.1.1.2.4), as in `zstdRawBlocks`. */
const MIN_WINDOW_LOG = 17;

/** A file with packed content, with all its names. */
interface PackedEntry {
  readonly names: readonly RootEntry[];
  readonly content: PackedContent;
}

/**
 * Takes the files with packed contents out of a segment. Each becomes a zstd frame: uncompressed
 * cpio headers around the compressed blocks of the content. So a content is compressed once,
 * wherever it is placed. The rest, with all directories, comes first in the initrd.
 */
export function takePacked(segment: Segment): {
  readonly rest: Segment;
  readonly packed: readonly InitrdPiece[];
} {
  const entries: PackedEntry[] = [];
  const parts = segment.parts.map(({ part, others }) => {
    const { contents } = part;
    if (contents.packed === undefined) return { part, others };
    const packed = new Set<string | undefined>();
    for (const [name, names] of namesByContent(others)) {
      const content = contents.packed(name);
      if (content === undefined) continue;
      entries.push({ names, content });
      packed.add(name);
    }
    return { part, others: others.filter(({ content }) => !packed.has(content)) };
  });
  return { rest: { ...segment, parts }, packed: archivesOf(entries) };
}

/** Joins the bytes between two contents to one piece. */
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
  // cpio stores the content with the last name.
  const headers = names.map((entry, index) =>
    cpioHeader(entry, inode, index === names.length - 1 ? entry.size : 0),
  );
  return Buffer.concat([
    zstdFrameHeader(Math.max(MIN_WINDOW_LOG, windowLog)),
    zstdRawBlocks(Buffer.concat(headers), { isLast: false }),
  ]);
}
