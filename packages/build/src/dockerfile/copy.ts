import { type LktError, nearest, type SourceFile } from '@lkt/core';
import { type EntryType, fromRaw, type RawPath, toRaw } from '@lkt/oci';
import { IgnorePatterns } from '../dockerignore.ts';
import { compileGlob, GlobError } from './glob.ts';
import { placeError } from './source-text.ts';
import type { CopySource, CopyStep } from './steps.ts';

/** What a COPY reads from: the context, or the file system of a stage or an image. */
export interface SourceTree {
  /** Follows no symlink. '' is the root. */
  node(path: RawPath): SourceNode | undefined;
  /** Names in a directory, in byte order; empty for anything else. */
  names(path: RawPath): readonly string[];
}

export interface SourceNode {
  readonly type: EntryType;
  /** Target of a symlink as it is written. */
  readonly link?: RawPath;
}

/** One thing to copy: the node at `source` in the tree becomes `target` in the image. */
export interface CopyEntry {
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

/**
 * Which files a COPY or ADD copies, and where to (Dockerfile reference, "COPY"). Sources over the network are not
 * looked at.
 *
 * A source that is a symlink is followed, inside the tree; symlinks below a source stay symlinks.
 * @param isDirectory whether a path of the image that is being built is a directory now, symlinks followed.
 * @throws LktError DOCKERFILE_INVALID when a source does not exist, several files want to be one, a pattern is bad.
 */
export function planCopy(
  step: CopyStep,
  tree: SourceTree,
  options: { readonly file: SourceFile; readonly isDirectory: (path: RawPath) => boolean },
): CopyPlan {
  return new CopyPlanner(step, tree, options).plan();
}

interface Match {
  /** The node that is copied: no symlink, unless --parents. */
  readonly source: RawPath;
  /** The path as the pattern found it. */
  readonly path: RawPath;
  readonly type: EntryType;
}

/** As in Linux: more symlinks than this on one way are a loop. */
const MAX_LINKS = 40;

class CopyPlanner {
  readonly #step: CopyStep;
  readonly #tree: SourceTree;
  readonly #file: SourceFile;
  readonly #isDirectory: (path: RawPath) => boolean;
  readonly #exclude: IgnorePatterns;
  readonly #entries = new Map<RawPath, CopyEntry>();
  readonly #files = new Map<RawPath, string>();
  readonly #directories = new Set<RawPath>();

  constructor(
    step: CopyStep,
    tree: SourceTree,
    options: { readonly file: SourceFile; readonly isDirectory: (path: RawPath) => boolean },
  ) {
    this.#step = step;
    this.#tree = tree;
    this.#file = options.file;
    this.#isDirectory = options.isDirectory;
    this.#exclude = this.#pattern(undefined, () => new IgnorePatterns(step.exclude));
  }

  plan(): CopyPlan {
    const destination = toRaw(this.#step.destination.slice(1));
    const local = this.#step.sources.filter((source) => source.kind === 'path');
    for (const source of local) {
      const matches = this.#pattern(source, () => this.#find(source));
      if (this.#step.parents) this.#addWithParents(matches, source, destination);
      else this.#add(matches, source, destination);
    }
    for (const { name, content } of this.#step.files) {
      const target = this.#intoDirectory(destination)
        ? join(destination, toRaw(name))
        : destination;
      this.#entries.delete(target);
      this.#files.set(target, content);
      this.#makeParents(target);
    }
    return {
      entries: [...this.#entries.values()].toSorted((a, b) => compare(a.target, b.target)),
      files: [...this.#files].map(([target, content]) => ({ target, content })),
      directories: [...this.#directories].toSorted(compare),
    };
  }

  #intoDirectory(destination: RawPath): boolean {
    return (
      destination === '' || this.#step.destinationIsDirectory || this.#isDirectory(destination)
    );
  }

  #add(matches: readonly Match[], source: CopySource, destination: RawPath): void {
    const files = matches.filter((match) => match.type !== 'directory');
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
      const target = this.#intoDirectory(destination) ? join(destination, name) : destination;
      this.#makeParents(target);
      this.#put({ source: match.source, target, type: match.type }, source);
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
      this.#makeParents(join(destination, 'x'));
      for (const parent of parents(kept)) {
        const target = join(destination, parent);
        this.#put({ source: join(base, parent), target, type: 'directory' }, source);
      }
      const target = join(destination, kept);
      if (kept !== '') this.#put({ source: match.source, target, type: match.type }, source);
      if (match.type === 'directory') this.#addContents(match.source, target, kept);
    }
  }

  /** @param shown the path of the directory that --exclude looks at. */
  #addContents(directory: RawPath, target: RawPath, shown: RawPath): void {
    for (const name of this.#tree.names(directory)) {
      const source = join(directory, name);
      const node = this.#tree.node(source);
      if (node === undefined) continue;
      const path = join(shown, name);
      const excluded = !this.#exclude.empty && this.#exclude.ignores(fromRaw(path));
      const entry = { source, target: join(target, name), type: node.type };
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
    for (const parent of parents(path)) this.#directories.add(parent);
  }

  /** The nodes a source stands for. */
  #find(source: CopySource): readonly Match[] {
    const text = source.text;
    if (this.#step.parents && text.includes('**')) return this.#findDeep(source);
    let found: { readonly real: RawPath; readonly path: RawPath }[] = [{ real: '', path: '' }];
    let wild = false;
    for (const part of text === '' ? [] : text.split('/')) {
      const glob = compileGlob(part, { separator: '/', deep: false, classes: true });
      wild ||= glob.wild;
      const next: { real: RawPath; path: RawPath }[] = [];
      for (const { real, path } of found) {
        const directory = this.#resolve(real);
        if (directory === undefined) continue;
        const names = glob.wild
          ? this.#tree.names(directory).filter((name) => glob.matches(fromRaw(name)))
          : [toRaw(glob.literal)];
        for (const name of names) {
          const child = join(directory, name);
          if (this.#tree.node(child) !== undefined)
            next.push({ real: child, path: join(path, name) });
        }
      }
      if (next.length === 0 && !wild) throw this.#missing(source, found[0]?.real ?? '', part);
      found = next;
    }
    return found.flatMap(({ real, path }) => {
      const target = this.#step.parents ? real : this.#resolve(real);
      const node = target === undefined ? undefined : this.#tree.node(target);
      if (target !== undefined && node !== undefined) {
        return [{ source: target, path, type: node.type }];
      }
      if (wild) return [];
      throw this.#error(
        source,
        `${source.text} is a symlink that leads to nothing in ${this.#where()}`,
        'copy what it points to as well, or remove it',
      );
    });
  }

  #findDeep(source: CopySource): readonly Match[] {
    const glob = compileGlob(source.text, { separator: '/', deep: true, classes: true });
    const matches: Match[] = [];
    const walk = (directory: RawPath): void => {
      for (const name of this.#tree.names(directory)) {
        const path = join(directory, name);
        const node = this.#tree.node(path);
        if (node === undefined) continue;
        if (glob.matches(fromRaw(path))) matches.push({ source: path, path, type: node.type });
        if (node.type === 'directory') walk(path);
      }
    };
    walk('');
    return matches;
  }

  /** Follows symlinks in all parts of a path, as if the tree were the root of the file system. */
  #resolve(path: RawPath): RawPath | undefined {
    let pending = path.split('/');
    let resolved: RawPath = '';
    let links = 0;
    while (pending.length > 0) {
      const [part = '', ...rest] = pending;
      pending = rest;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        resolved = parents(resolved).at(-1) ?? '';
        continue;
      }
      const next = join(resolved, part);
      const node = this.#tree.node(next);
      if (node === undefined) return undefined;
      if (node.type !== 'symlink') {
        resolved = next;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return undefined;
      const link = node.link ?? '';
      if (link.startsWith('/')) resolved = '';
      pending = [...link.split('/'), ...pending];
    }
    return resolved;
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

  #missing(source: CopySource, directory: RawPath, part: string): LktError {
    const here = this.#resolve(directory);
    const names = here === undefined ? [] : this.#tree.names(here).map(fromRaw);
    const near = nearest(part, names);
    const path = here === undefined || here === '' ? '' : `${fromRaw(here)}/`;
    return this.#error(
      source,
      `${source.text} is not in ${this.#where()}`,
      near === undefined
        ? 'check the path, and that .dockerignore does not leave it out'
        : `did you mean ${path}${near}?`,
    );
  }

  #where(): string {
    const { from } = this.#step;
    switch (from.kind) {
      case 'context':
        return 'the build context';
      case 'stage':
        return `stage ${this.#stageName() ?? from.index}`;
      case 'image':
        return from.text;
      case 'scratch':
        return 'scratch';
      default:
        return from satisfies never;
    }
  }

  #stageName(): string | undefined {
    const { instruction } = this.#step;
    return instruction.keyword === 'COPY' ? instruction.from?.text : undefined;
  }

  #error(source: CopySource | undefined, message: string, fix: string): LktError {
    return placeError(this.#file, source ?? this.#step.instruction, message, fix);
  }
}

function join(directory: RawPath, name: string): RawPath {
  if (directory === '') return name;
  return name === '' ? directory : `${directory}/${name}`;
}

function baseName(path: RawPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The directories above a path, the outermost first, without the root. */
function parents(path: RawPath): readonly RawPath[] {
  const result: RawPath[] = [];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    result.push(path.slice(0, slash));
  }
  return result;
}

/** Raw paths have one character a byte, so this is byte order, and a directory comes before what is in it. */
function compare(a: RawPath, b: RawPath): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
