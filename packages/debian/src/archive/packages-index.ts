import { open, type FileHandle } from 'node:fs/promises';
import { readSync } from 'node:fs';
import { isDigest, LktError } from '@lkt/core';
import { parseDeb822, requiredFields } from '../deb/deb822.ts';
import type { LockedPackage } from '../lock/lock.ts';
import type { ArchiveName } from './mirror.ts';
import {
  type Alternative,
  type Clause,
  parseAlternative,
  parseRelations,
} from '../lock/relation.ts';
import { isVersion } from '../lock/version.ts';

/** An entry of an archive's Packages file. */
export interface IndexedPackage extends LockedPackage {
  readonly priority: string;
  /** Pre-Depends and Depends. */
  readonly depends: readonly Clause[];
  /** Conflicts and Breaks. */
  readonly conflicts: readonly Clause[];
  readonly provides: readonly Alternative[];
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

/** Bytes; well above the longest paragraph of the archive. */
const MAX_PARAGRAPH_BYTES = 1 << 20;

/**
 * A Packages file. Keeps the text in a file and only the offsets of names in memory: 10 MB for 57
 * MB of text.
 */
export class PackagesIndex implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly archive: ArchiveName;
  readonly #names = new Map<string, Span[]>();
  readonly #provided = new Map<string, Span[]>();

  private constructor(file: FileHandle, archive: ArchiveName) {
    this.#file = file;
    this.archive = archive;
  }

  /**
   * Reads a Packages file to its end and keeps it at `path`.
   * @throws ARCHIVE_INVALID
   */
  static async load(
    text: AsyncIterable<Uint8Array>,
    path: string,
    archive: ArchiveName,
  ): Promise<PackagesIndex> {
    const index = new PackagesIndex(await open(path, 'wx+', 0o600), archive);
    try {
      await index.#scan(text);
    } catch (error) {
      await index[Symbol.asyncDispose]();
      throw error;
    }
    return index;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** Returns every version of a package, in the order of the file. */
  versions(name: string): IndexedPackage[] {
    return (this.#names.get(name) ?? []).map((span) => this.#read(span));
  }

  /**
   * Returns the raw paragraphs of every version. For a Sources file, whose paragraphs have another
   * form.
   */
  paragraphs(name: string): string[] {
    return (this.#names.get(name) ?? []).map((span) => this.#text(span));
  }

  /** Returns every package with `name` in its Provides. */
  providers(name: string): IndexedPackage[] {
    return (this.#provided.get(name) ?? []).map((span) => this.#read(span));
  }

  async #scan(text: AsyncIterable<Uint8Array>): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    let offset = 0; // of `rest` in the file
    for await (const chunk of text) {
      await this.#file.writeFile(chunk);
      rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      let start = 0;
      for (;;) {
        const end = rest.indexOf('\n\n', start);
        if (end === -1) break;
        this.#note(rest.toString('latin1', start, end), {
          offset: offset + start,
          length: end - start,
        });
        start = end + 2;
      }
      rest = rest.subarray(start);
      offset += start;
      if (rest.length > MAX_PARAGRAPH_BYTES)
        throw new LktError('ARCHIVE_INVALID', 'a paragraph of Packages exceeds 1 MiB');
    }
    if (rest.length > 0) this.#note(rest.toString('latin1'), { offset, length: rest.length });
  }

  #note(paragraph: string, span: Span): void {
    if (paragraph.trim() === '') return;
    const name = /^Package: *(\S+)/m.exec(paragraph)?.[1];
    if (name === undefined)
      throw new LktError('ARCHIVE_INVALID', 'a paragraph of Packages has no field Package');
    append(this.#names, name, span);
    const provides = /^Provides: *(.+)/m.exec(paragraph)?.[1];
    for (const clause of parseRelations(provides ?? ''))
      for (const provided of clause) append(this.#provided, provided.name, span);
  }

  /** Reads synchronously from the page cache, so that the resolver need not be async. */
  #text({ offset, length }: Span): string {
    const buffer = Buffer.alloc(length);
    if (readSync(this.#file.fd, buffer, 0, length, offset) !== length)
      throw new Error('the index was truncated while in use');
    return buffer.toString();
  }

  #read(span: Span): IndexedPackage {
    return parsePackage(this.#text(span), this.archive);
  }
}

/** Copies the name: a slice would keep its whole paragraph in memory. */
function append(map: Map<string, Span[]>, name: string, span: Span): void {
  const list = map.get(name);
  if (list === undefined) map.set(Buffer.from(name, 'latin1').toString('latin1'), [span]);
  else list.push(span);
}

/**
 * Parses a paragraph of Packages.
 * @throws ARCHIVE_INVALID
 */
export function parsePackage(paragraph: string, archive: ArchiveName): IndexedPackage {
  const [fields = new Map<string, string>()] = parseDeb822(paragraph, 'Packages');
  const name = fields.get('package') ?? '';
  const field = requiredFields(fields, `the index of ${archive}: ${name}`);
  const relations = (...keys: readonly string[]): Clause[] =>
    keys.flatMap((key) => parseRelations(fields.get(key) ?? ''));
  const digest = `sha256:${field('sha256')}`;
  const size = field('size');
  const path = field('filename').replace(/^\.\//, '');
  const [version, architecture] = [field('version'), field('architecture')];
  if (
    !isDigest(digest) ||
    !isSize(size) ||
    !isPoolPath(path) ||
    !isVersion(version) ||
    !isArchitecture(architecture)
  )
    throw new LktError(
      'ARCHIVE_INVALID',
      `the index of ${archive}: the entry of ${name} is malformed`,
    );
  return {
    name,
    version,
    architecture,
    priority: fields.get('priority') ?? 'optional',
    depends: relations('pre-depends', 'depends'),
    conflicts: relations('conflicts', 'breaks'),
    provides: (fields.get('provides') ?? '')
      .split(',')
      .filter((text) => text.trim() !== '')
      .map(parseAlternative),
    archive,
    path,
    size: Number(size),
    digest,
  };
}

/** Reports whether a path stays below the archive's URL and needs no escaping in it. */
export function isPoolPath(path: string): boolean {
  return (
    /^[A-Za-z0-9_.+~:=-]+(?:\/[A-Za-z0-9_.+~:=-]+)*$/.test(path) &&
    !/(?:^|\/)\.\.?(?:\/|$)/.test(path)
  );
}

/** Reports whether a text is the name of an architecture, such as `amd64`. */
export function isArchitecture(text: string): boolean {
  return /^[a-z0-9-]+$/.test(text);
}

/** Reports whether a text is the size of a file that is not empty, in bytes. */
export function isSize(text: string): boolean {
  return /^[1-9]\d{0,11}$/.test(text);
}
