import type { Digest, LktError, SourceFile } from '@lkt/core';
import { baseName, compareBytes, type EntryType, fromRaw, type RawPath, toRaw } from '@lkt/oci';
import { IgnorePatterns } from './dockerignore.ts';
import { GlobError } from './glob.ts';
import { type Match, SourceFinder } from './source-finder.ts';
import { errorAt } from '../parse/source-text.ts';
import { joinPath, parentsOf, type SourceTree } from './source-tree.ts';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

/** A copy of one node: `source` in the tree becomes `target` in the image. */
export interface CopyEntry {
  /**
   * Set for a file that matches a source itself: it becomes a file of its own. Hard links between
   * the files of a copied directory are kept.
   */
  readonly isNamed?: true;
  readonly source: RawPath;
  readonly target: RawPath;
  readonly type: EntryType;
}

/** The files that a COPY creates, and their directories. */
export interface CopyPlan {
  /**
   * Parents before children, each target once: a later source wins. Directories merge into existing
   * directories.
   */
  readonly entries: readonly CopyEntry[];
  /** Here-documents of the Dockerfile, mode 644. They replace `entries` with the same target. */
  readonly files: readonly { readonly target: RawPath; readonly content: string }[];
  /**
   * Parent directories to create if they do not exist (mode 755, owner from --chown), parents
   * first.
   */
  readonly directories: readonly RawPath[];
}

/**
 * An archive that ADD unpacks into `target`. `directories` are created first, as in a `CopyPlan`.
 */
export interface ArchiveEntry {
  readonly source: RawPath;
  readonly target: RawPath;
  readonly directories: readonly RawPath[];
}

/** A part of an ADD. Parts run in order, and a later part sees the files of the earlier ones. */
export type AddPart =
  | CopyPlan
  | { readonly archive: ArchiveEntry }
  | { readonly remote: RemoteEntry };

/** A downloaded file and its target. */
export interface RemoteEntry {
  readonly digest: Digest;
  /** The target if it is added as a file. */
  readonly target: RawPath;
  /**
   * The directory into which it is unpacked if it is an archive; undefined if it is never unpacked.
   */
  readonly unpacked: RawPath | undefined;
}

/** Options of `planCopy` and `planAdd`. `file` is the Dockerfile, for error messages. */
export interface PlanOptions {
  readonly file: SourceFile;
  /** Reports whether a path of the image is a directory before this step, following symlinks. */
  readonly isDirectory: (path: RawPath) => boolean;
}

/**
 * Plans an ADD. Like `planCopy`, but each local archive becomes a part of its own.
 * @param isArchive reports whether a file of the tree must be unpacked
 * @throws DOCKERFILE_INVALID as `planCopy` does
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
 * Returns which files a COPY or ADD copies, and their targets (Dockerfile reference, "COPY").
 * Ignores sources with a URL.
 *
 * A source that is a symlink is followed inside the tree. Symlinks below a source are copied as
 * symlinks.
 * @throws DOCKERFILE_INVALID if a source does not exist, if several files have the same target, or
 * if a pattern is malformed
 * @example
 * ```ts
 * const plan = planCopy(step, tree, { file, isDirectory: (path) => path === 'tmp' });
 * for (const { source, target, type } of plan.entries) copy(source, target, type);
 * ```
 */
export function planCopy(step: CopyStep, tree: SourceTree, options: PlanOptions): CopyPlan {
  return new CopyPlanner(step, tree, options).plan();
}

class CopyPlanner {
  readonly #step: CopyStep;
  readonly #tree: SourceTree;
  readonly #options: PlanOptions;
  readonly #finder: SourceFinder;
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
    this.#options = options;
    this.#finder = new SourceFinder(step, tree, options.file);
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
      entries: [...this.#entries.values()].toSorted((a, b) => compareBytes(a.target, b.target)),
      files: [...this.#files].map(([target, content]) => ({ target, content })),
      directories: [...this.#directories].toSorted(compareBytes),
    };
  }

  /** Adds an archive as a part of its own, after a part with the entries planned so far. */
  #addArchive(source: RawPath, target: RawPath): void {
    if (this.#entries.size > 0) this.#parts.push(this.#planned());
    const directories = target === '' ? [] : [...parentsOf(target), target];
    this.#parts.push({ archive: { source, target, directories } });
    [this.#entries, this.#files, this.#directories] = [new Map(), new Map(), new Set()];
  }

  #intoDirectory(destination: RawPath): boolean {
    return (
      destination === '' ||
      this.#step.destinationIsDirectory ||
      this.#options.isDirectory(destination)
    );
  }

  #add(matches: readonly Match[], source: CopySource, destination: RawPath): void {
    const files = matches.filter(
      ({ type, source: path }) =>
        type !== 'directory' && !(type === 'file' && this.#isArchive(path)),
    );
    if (files.length > 1 && !this.#intoDirectory(destination))
      throw this.#error(
        source,
        `${source.text} matches ${files.length} files, but ${this.#step.destination} is not a directory`,
        `end the destination with a slash: ${this.#step.destination}/`,
      );
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
      this.#put({ source: match.source, target, type: match.type, isNamed: true }, source);
    }
  }

  #addWithParents(matches: readonly Match[], source: CopySource, destination: RawPath): void {
    // The base may contain wildcards, so only its number of directories counts.
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

  /** @param shown the path of the directory that --exclude patterns match */
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
        // An excluded directory is still copied if a "!" pattern keeps something in it.
        if (excluded && this.#entries.size > before) this.#put(entry);
      } else if (!excluded) {
        this.#put(entry);
      }
    }
  }

  #put(entry: CopyEntry, source?: CopySource): void {
    const other = this.#entries.get(entry.target);
    if (other !== undefined && (other.type === 'directory') !== (entry.type === 'directory'))
      throw this.#error(
        source,
        `${fromRaw(entry.target)} is a directory in one source but not in another`,
        'use a COPY for each',
      );
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
      throw errorAt(
        this.#options.file,
        source ?? flag ?? this.#step.instruction,
        `bad pattern: ${error.message}`,
        'write [[] for a literal [',
      );
    }
  }

  #error(source: CopySource | undefined, message: string, fix: string): LktError {
    return errorAt(this.#options.file, source ?? this.#step.instruction, message, fix);
  }
}
