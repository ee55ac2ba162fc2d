import type { Digest, LktError, SourceFile } from '@lkt/core';
import { type EntryType, fromRaw, type RawPath, toRaw } from '@lkt/oci';
import { IgnorePatterns } from './dockerignore.ts';
import { GlobError } from './glob.ts';
import { type Match, SourceFinder } from './source-finder.ts';
import { placeError } from '../parse/source-text.ts';
import { baseName, joinPath, parentsOf, type SourceTree } from './source-tree.ts';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

export type { SourceNode, SourceTree } from './source-tree.ts';

/** One thing to copy: the node at `source` in the tree becomes `target` in the image. */
export interface CopyEntry {
  /** The entry is a file that was named itself; it stays no hard link to others. Those of a directory do. */
  readonly alone?: true;
  readonly source: RawPath;
  readonly target: RawPath;
  readonly type: EntryType;
}

export interface CopyPlan {
  /** Parents before children, each target once: a later source wins. Directories merge into what is there. */
  readonly entries: readonly CopyEntry[];
  /** The files that the Dockerfile itself gives; they win over `entries`. Mode 644. */
  readonly files: readonly { readonly target: RawPath; readonly content: string }[];
  /** Directories to make where there is nothing (mode 755, owner as in --chown), parents first. */
  readonly directories: readonly RawPath[];
}

/** An archive that ADD unpacks into a directory, which is made like those of a plan. */
export interface ArchiveEntry {
  readonly source: RawPath;
  readonly target: RawPath;
  readonly directories: readonly RawPath[];
}

/** What an ADD does one after the other: later ones find what earlier ones made. */
export type AddPart =
  | CopyPlan
  | { readonly archive: ArchiveEntry }
  | { readonly remote: RemoteEntry };

/** A file from elsewhere, and where it goes. */
export interface RemoteEntry {
  readonly digest: Digest;
  /** Where it is a file. */
  readonly target: RawPath;
  /** The directory that it is unpacked into if it is an archive; undefined: it is a file in any case. */
  readonly unpacked: RawPath | undefined;
}

export interface PlanOptions {
  readonly file: SourceFile;
  /** Whether a path of the image that is being built is a directory now, symlinks followed. */
  readonly isDirectory: (path: RawPath) => boolean;
}

/**
 * As `planCopy`, for an ADD of archives, each of which is a part of its own.
 * @param isArchive whether a file of the tree is to be unpacked.
 */
export function planAdd(
  step: CopyStep,
  tree: SourceTree,
  options: PlanOptions,
  isArchive: (source: RawPath) => boolean,
): readonly AddPart[] {
  return new CopyPlanner(step, tree, options, isArchive).parts();
}

/**
 * Which files a COPY or ADD copies, and where to (Dockerfile reference, "COPY"). Sources over the network are not
 * looked at.
 *
 * A source that is a symlink is followed, inside the tree; symlinks below a source stay symlinks.
 * @throws LktError DOCKERFILE_INVALID when a source does not exist, several files want to be one, a pattern is bad.
 */
export function planCopy(step: CopyStep, tree: SourceTree, options: PlanOptions): CopyPlan {
  return new CopyPlanner(step, tree, options).plan();
}

class CopyPlanner {
  readonly #step: CopyStep;
  readonly #tree: SourceTree;
  readonly #file: SourceFile;
  readonly #finder: SourceFinder;
  readonly #isDirectory: (path: RawPath) => boolean;
  readonly #exclude: IgnorePatterns;
  readonly #isArchive: (source: RawPath) => boolean;
  readonly #parts: AddPart[] = [];
  #entries = new Map<RawPath, CopyEntry>();
  #files = new Map<RawPath, string>();
  #directories = new Set<RawPath>();

  constructor(
    step: CopyStep,
    tree: SourceTree,
    options: PlanOptions,
    isArchive: (source: RawPath) => boolean = () => false,
  ) {
    this.#step = step;
    this.#tree = tree;
    this.#file = options.file;
    this.#finder = new SourceFinder(step, tree, options.file);
    this.#isDirectory = options.isDirectory;
    this.#isArchive = isArchive;
    this.#exclude = this.#pattern(undefined, () => new IgnorePatterns(step.exclude));
  }

  parts(): readonly AddPart[] {
    const rest = this.plan();
    const isEmpty = rest.entries.length + rest.files.length + rest.directories.length === 0;
    return isEmpty && this.#parts.length > 0 ? this.#parts : [...this.#parts, rest];
  }

  plan(): CopyPlan {
    const destination = toRaw(this.#step.destination.slice(1));
    const local = this.#step.sources.filter((source) => source.kind === 'path');
    for (const source of local) {
      const matches = this.#pattern(source, () => this.#finder.find(source));
      if (this.#step.parents) this.#addWithParents(matches, source, destination);
      else this.#add(matches, source, destination);
    }
    for (const { name, content } of this.#step.files) {
      const target = this.#intoDirectory(destination)
        ? joinPath(destination, toRaw(name))
        : destination;
      this.#entries.delete(target);
      this.#files.set(target, content);
      this.#makeParents(target);
    }
    return this.#planned();
  }

  #planned(): CopyPlan {
    return {
      entries: [...this.#entries.values()].toSorted((a, b) => compare(a.target, b.target)),
      files: [...this.#files].map(([target, content]) => ({ target, content })),
      directories: [...this.#directories].toSorted(compare),
    };
  }

  /** What came before an archive is a part before it. */
  #addArchive(source: RawPath, target: RawPath): void {
    if (this.#entries.size > 0) this.#parts.push(this.#planned());
    const directories = target === '' ? [] : [...parentsOf(target), target];
    this.#parts.push({ archive: { source, target, directories } });
    [this.#entries, this.#files, this.#directories] = [new Map(), new Map(), new Set()];
  }

  #intoDirectory(destination: RawPath): boolean {
    return (
      destination === '' || this.#step.destinationIsDirectory || this.#isDirectory(destination)
    );
  }

  #add(matches: readonly Match[], source: CopySource, destination: RawPath): void {
    const files = matches.filter(
      ({ type, source: path }) =>
        type !== 'directory' && !(type === 'file' && this.#isArchive(path)),
    );
    if (files.length > 1 && !this.#intoDirectory(destination)) {
      throw this.#error(
        source,
        `${source.text} is ${files.length} files, and they cannot all become ${this.#step.destination}`,
        `end the destination with a slash: ${this.#step.destination}/`,
      );
    }
    for (const match of matches) {
      if (match.type === 'directory') {
        this.#makeParents(destination);
        if (destination !== '') this.#directories.add(destination);
        this.#addContents(match.source, destination, '');
        continue;
      }
      const name = baseName(match.path);
      if (this.#exclude.ignores(fromRaw(name))) continue;
      if (match.type === 'file' && this.#isArchive(match.source)) {
        this.#addArchive(match.source, destination);
        continue;
      }
      const target = this.#intoDirectory(destination) ? joinPath(destination, name) : destination;
      this.#makeParents(target);
      this.#put({ source: match.source, target, type: match.type, alone: true }, source);
    }
  }

  #addWithParents(matches: readonly Match[], source: CopySource, destination: RawPath): void {
    // The base may hold wildcards, so what counts is how many directories it is.
    const depth = source.base === '' ? 0 : source.base.split('/').length;
    for (const match of matches) {
      const parts = match.path.split('/');
      const base = parts.slice(0, depth).join('/');
      const kept = parts.slice(depth).join('/');
      if (this.#exclude.ignores(fromRaw(kept))) continue;
      this.#makeParents(joinPath(destination, 'x'));
      for (const parent of parentsOf(kept)) {
        const target = joinPath(destination, parent);
        this.#put({ source: joinPath(base, parent), target, type: 'directory' }, source);
      }
      const target = joinPath(destination, kept);
      if (kept !== '') this.#put({ source: match.source, target, type: match.type }, source);
      if (match.type === 'directory') this.#addContents(match.source, target, kept);
    }
  }

  /** @param shown the path of the directory that --exclude looks at. */
  #addContents(directory: RawPath, target: RawPath, shown: RawPath): void {
    for (const name of this.#tree.names(directory)) {
      const source = joinPath(directory, name);
      const node = this.#tree.node(source);
      if (node === undefined) continue;
      const path = joinPath(shown, name);
      const excluded = !this.#exclude.empty && this.#exclude.ignores(fromRaw(path));
      const entry = { source, target: joinPath(target, name), type: node.type };
      if (node.type === 'directory') {
        const before = this.#entries.size;
        if (!excluded) this.#put(entry);
        this.#addContents(source, entry.target, path);
        // A directory that is excluded is still there for what a "!" keeps in it.
        if (excluded && this.#entries.size > before) this.#put(entry);
      } else if (!excluded) {
        this.#put(entry);
      }
    }
  }

  #put(entry: CopyEntry, source?: CopySource): void {
    const other = this.#entries.get(entry.target);
    if (other !== undefined && (other.type === 'directory') !== (entry.type === 'directory')) {
      throw this.#error(
        source,
        `${fromRaw(entry.target)} is a directory in one source and none in another`,
        'use a COPY for each',
      );
    }
    this.#entries.set(entry.target, entry);
  }

  #makeParents(path: RawPath): void {
    for (const parent of parentsOf(path)) this.#directories.add(parent);
  }

  #pattern<T>(source: CopySource | undefined, run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof GlobError)) throw error;
      const flag = this.#step.instruction.flags.find(({ name }) => name === 'exclude');
      throw placeError(
        this.#file,
        source ?? flag ?? this.#step.instruction,
        `bad pattern: ${error.message}`,
        'write [[] for a [ that is meant as it is',
      );
    }
  }

  #error(source: CopySource | undefined, message: string, fix: string): LktError {
    return placeError(this.#file, source ?? this.#step.instruction, message, fix);
  }
}

/** Raw paths have one character a byte, so this is byte order, and a directory comes before what is in it. */
function compare(a: RawPath, b: RawPath): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
