import { BufferPool, digestOf, LktError, uniqueBy } from '@lkt/core';
import { fromRaw, ZSTD_CHUNK_BYTES } from '@lkt/oci';
import { checkCpioEntry, type CpioInode, cpioHeader, cpioTrailer, cpioPadding } from '@lkt/formats';
import { entryRow } from '../tree/entry-row.ts';
import { hasContent, namesByContent, type Root, type RootEntry } from '../tree/merge.ts';
import type { Part } from '../tree/part.ts';

/** Bump when the bytes of an archive change for unchanged entries. */
const SEGMENT_VERSION = 'segment 1';
/** Bytes of one compression step. */
const BLOCK = ZSTD_CHUNK_BYTES;

/**
 * A cpio archive of one or more parts. It has every directory above its entries, none below a
 * symbolic link. Segments share no paths but directories, which are equal in all.
 */
export interface Segment {
  readonly name: string;
  /** Default: the label of the first part. */
  readonly title?: string;
  readonly parts: readonly SegmentPart[];
  readonly directories: readonly RootEntry[];
}

interface SegmentPart {
  readonly part: Part;
  readonly others: readonly RootEntry[];
}

/**
 * Returns the segments of a root, in the order of its parts.
 * @throws LktError UNSUPPORTED for entries that cpio cannot hold
 */
export function segmentsOf(root: Root): readonly Segment[] {
  const groups = new Map<string, { parts: SegmentPart[]; directories: Set<string> }>();
  for (const [index, part] of root.parts.entries()) {
    const own = root.byPart[index];
    if (own === undefined) continue;
    const others = own.others.filter(({ path }) => !isBoot(path));
    const directories = own.directories.filter((path) => !isBoot(path));
    if (others.length + directories.length === 0) continue;
    for (const entry of others) checkCpioEntry(entry, part.label);
    for (const path of directories) checkCpioEntry(entryOf(root, path), part.label);
    const group = groups.get(part.segment) ?? { parts: [], directories: new Set() };
    group.parts.push({ part, others });
    for (const path of directories) group.directories.add(path);
    groups.set(part.segment, group);
  }
  return [...groups].map(([name, { parts, directories }]) => ({
    name,
    parts,
    directories: [...directories].toSorted().map((path) => entryOf(root, path)),
  }));
}

/** Joins segments to a single one. */
export function solid(segments: readonly Segment[]): Segment {
  const directories = segments.flatMap((segment) => segment.directories);
  return {
    name: 'solid',
    title: 'all files',
    parts: segments.flatMap(({ parts }) => parts),
    directories: uniqueBy(directories, ({ path }) => path).toSorted((a, b) =>
      a.path < b.path ? -1 : 1,
    ),
  };
}

/** Reports whether a path belongs to the boot files, which are outside of the initrd. */
export function isBoot(path: string): boolean {
  return path === 'boot' || path.startsWith('boot/');
}

/** Returns the inputs of `segmentArchive`, for the cache. */
export function segmentKey(segment: Segment): readonly string[] {
  const lines = [
    ...segment.directories.map(describe),
    ...segment.parts.flatMap(({ part, others }) => [
      `part ${part.contents.key}`,
      ...others.map(describe),
    ]),
  ];
  return [SEGMENT_VERSION, digestOf(lines.join('\n'))];
}

/**
 * Yields the archive: directories, then links, devices and empty files, then files in the order of
 * their contents. Each chunk is valid until the next one is requested.
 */
export async function* segmentArchive(segment: Segment): AsyncGenerator<Uint8Array> {
  using blocks = new Blocks();
  const inodes = new Inodes();
  for (const directory of segment.directories)
    for (const block of blocks.add(cpioHeader(directory, inodes.next(2), 0))) yield block;
  for (const { part, others } of segment.parts) {
    for (const entry of others) {
      if (hasContent(entry)) continue;
      const body = Buffer.from(entry.link ?? '', 'latin1');
      const header = cpioHeader(entry, inodes.next(1), body.length);
      for (const block of blocks.add(header, body, cpioPadding(body.length))) yield block;
    }
    yield* archiveFiles(part, namesByContent(others), inodes, blocks);
  }
  for (const block of blocks.add(cpioTrailer())) yield block;
  yield blocks.end();
}

async function* archiveFiles(
  part: Part,
  files: ReadonlyMap<string, readonly RootEntry[]>,
  inodes: Inodes,
  blocks: Blocks,
): AsyncGenerator<Uint8Array> {
  if (files.size === 0) return;
  const missing = new Set(files.keys());
  for await (const content of part.contents.read(missing)) {
    const names = files.get(content.name);
    const last = names?.at(-1);
    if (names === undefined || last === undefined || !missing.delete(content.name)) continue;
    const inode = inodes.next(names.length);
    // cpio stores the content with the last name.
    for (const entry of names.slice(0, -1))
      for (const block of blocks.add(cpioHeader(entry, inode, 0))) yield block;
    for (const block of blocks.add(cpioHeader(last, inode, last.size))) yield block;
    let size = 0;
    for await (const chunk of content.data) {
      size += chunk.length;
      if (size > last.size) break;
      for (const block of blocks.add(chunk)) yield block;
    }
    if (size !== last.size) throw wrongSize(last, part, size);
    for (const block of blocks.add(cpioPadding(last.size))) yield block;
  }
  const [lost] = missing;
  if (lost !== undefined)
    throw new LktError('IMAGE_INVALID', `${part.label} has no content for /${fromRaw(lost)}`);
}

function wrongSize(entry: RootEntry, part: Part, size: number): LktError {
  const what =
    size > entry.size ? 'more bytes of content than' : `${size} bytes of content instead of`;
  return new LktError(
    'IMAGE_INVALID',
    `/${fromRaw(entry.path)} of ${part.label} has ${what} ${entry.size}`,
  );
}

/** Formats all fields of an entry. */
function describe(entry: RootEntry): string {
  const { link = '', devMajor = 0, devMinor = 0, content = '' } = entry;
  return JSON.stringify([...entryRow(entry), link, devMajor, devMinor, content]);
}

function entryOf(root: Root, path: string): RootEntry {
  const entry = root.entries.get(path);
  if (entry === undefined) throw new Error(`no entry for ${path}`);
  return entry;
}

/** Numbers inodes in writing order. */
class Inodes {
  #last = 0;

  next(links: number): CpioInode {
    this.#last += 1;
    return { number: this.#last, links };
  }
}

const pool = new BufferPool(BLOCK);

/** Gathers bytes in blocks of the compressor's size. */
class Blocks implements Disposable {
  /** Used in turn: the consumer may still read the block yielded last. */
  readonly #blocks = [pool.take(), pool.take()] as const;
  #current: 0 | 1 = 0;
  #used = 0;

  /** Copies the pieces and yields full blocks. */
  *add(...pieces: readonly Uint8Array[]): Generator<Uint8Array> {
    for (const piece of pieces) {
      for (let done = 0; done < piece.length;) {
        const part = piece.subarray(done, done + BLOCK - this.#used);
        this.#blocks[this.#current].set(part, this.#used);
        this.#used += part.length;
        done += part.length;
        if (this.#used === BLOCK) yield this.end();
      }
    }
  }

  /** Returns the bytes of the last, partial block. */
  end(): Uint8Array {
    const block = this.#blocks[this.#current].subarray(0, this.#used);
    this.#current = this.#current === 0 ? 1 : 0;
    this.#used = 0;
    return block;
  }

  [Symbol.dispose](): void {
    pool.release(...this.#blocks);
  }
}
