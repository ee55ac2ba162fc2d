import { type LktError, nearest, type SourceFile } from '@lkt/core';
import { type EntryType, fromRaw, type RawPath, toRaw } from '@lkt/oci';
import { compileGlob } from './glob.ts';
import { errorAt } from '../parse/source-text.ts';
import { joinPath, resolveLinks, type SourceTree } from './source-tree.ts';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

/** A node that matches a source. */
export interface Match {
  /** The node to copy. Never a symlink, except with --parents. */
  readonly source: RawPath;
  /** The path as matched by the pattern. */
  readonly path: RawPath;
  readonly type: EntryType;
}

/** Finds the sources of one COPY or ADD in a tree. */
export class SourceFinder {
  readonly #step: CopyStep;
  readonly #tree: SourceTree;
  readonly #file: SourceFile;

  constructor(step: CopyStep, tree: SourceTree, file: SourceFile) {
    this.#step = step;
    this.#tree = tree;
    this.#file = file;
  }

  /**
   * Returns the nodes that match a source; empty for a pattern without matches.
   * @throws DOCKERFILE_INVALID if a source without wildcards does not exist
   * @throws GlobError for a malformed pattern
   */
  find(source: CopySource): readonly Match[] {
    const text = source.text;
    if (this.#step.parents && text.includes('**')) return this.#findDeep(source);
    let found: { readonly real: RawPath; readonly path: RawPath }[] = [{ real: '', path: '' }];
    let wild = false;
    for (const part of text === '' ? [] : text.split('/')) {
      const glob = compileGlob(part, { separator: '/', deep: false, classes: true });
      const next: { real: RawPath; path: RawPath }[] = [];
      for (const { real, path } of found) {
        // As in BuildKit, links are followed only before the first wildcard.
        const directory = wild ? real : resolveLinks(this.#tree, real);
        if (directory === undefined) continue;
        const names = glob.wild
          ? this.#tree.names(directory).filter((name) => glob.matches(fromRaw(name)))
          : [toRaw(glob.literal)];
        for (const name of names) {
          const child = joinPath(directory, name);
          if (this.#tree.node(child) !== undefined)
            next.push({ real: child, path: joinPath(path, name) });
        }
      }
      wild ||= glob.wild;
      if (next.length === 0 && !wild) throw this.#missing(source, found[0]?.real ?? '', part);
      found = next;
    }
    return found.flatMap(({ real, path }) => {
      const target = this.#step.parents ? real : resolveLinks(this.#tree, real);
      const node = target === undefined ? undefined : this.#tree.node(target);
      if (target !== undefined && node !== undefined)
        return [{ source: target, path, type: node.type }];
      // Also one that a pattern matches: the image would lack a file without a word.
      throw this.#error(
        source,
        `${fromRaw(path)} is a dangling symlink in ${this.#where()}`,
        'copy its target as well, or remove it',
      );
    });
  }

  #findDeep(source: CopySource): readonly Match[] {
    const glob = compileGlob(source.text, { separator: '/', deep: true, classes: true });
    const matches: Match[] = [];
    const walk = (directory: RawPath): void => {
      for (const name of this.#tree.names(directory)) {
        const path = joinPath(directory, name);
        const node = this.#tree.node(path);
        if (node === undefined) continue;
        if (glob.matches(fromRaw(path))) matches.push({ source: path, path, type: node.type });
        if (node.type === 'directory') walk(path);
      }
    };
    walk('');
    return matches;
  }

  #missing(source: CopySource, directory: RawPath, part: string): LktError {
    const here = resolveLinks(this.#tree, directory);
    const names = here === undefined ? [] : this.#tree.names(here).map(fromRaw);
    const near = nearest(part, names);
    const path = here === undefined || here === '' ? '' : `${fromRaw(here)}/`;
    return this.#error(
      source,
      `${source.text} is not in ${this.#where()}`,
      near === undefined
        ? 'check the path, and whether .dockerignore excludes it'
        : `did you mean ${path}${near}?`,
    );
  }

  #where(): string {
    const { from, instruction } = this.#step;
    switch (from.kind) {
      case 'context':
        return 'the build context';
      case 'stage':
        return `stage ${(instruction.keyword === 'COPY' ? instruction.from?.text : undefined) ?? from.index}`;
      case 'image':
        return from.text;
      case 'scratch':
        return 'scratch';
      default:
        return from satisfies never;
    }
  }

  #error(source: CopySource, message: string, fix: string): LktError {
    return errorAt(this.#file, source, message, fix);
  }
}
