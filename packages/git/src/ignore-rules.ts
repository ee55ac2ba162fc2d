import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutTextOf, textOf } from './config-files.ts';
import type { GitDirectory } from './directory.ts';
import type { Settings } from './settings.ts';
import { parentOf } from './paths.ts';
import { type Glob, matchesPath, parseGlob } from './glob.ts';

/** A line of a .gitignore. */
interface Rule {
  readonly negated: boolean;
  readonly onlyDirectories: boolean;
  /** The directory that the pattern is relative to, from the top; '' for the top. */
  readonly base: string;
  readonly glob: Glob;
}

/**
 * The rules by which git ignores files: in .gitignore, `info/exclude`, and a file of the user.
 * @see https://git-scm.com/docs/gitignore
 */
export class IgnoreRules {
  readonly #top: string;
  readonly #general: readonly Rule[];
  readonly #known = new Map<string, readonly Rule[]>();

  /** @throws Error if only git can tell */
  constructor({ top, commonDir }: GitDirectory, { excludes }: Settings) {
    this.#top = top;
    const texts = [...excludes.map(textOf), checkoutTextOf(join(commonDir, 'info/exclude'))];
    this.#general = texts.flatMap((text) => parseRules(text, ''));
  }

  /**
   * Reports whether git ignores a file or directory that it does not track. Its parent must not be
   * ignored: then everything in it is.
   * @param path from the top, one char per byte
   * @throws Error if only git can tell
   */
  ignores(path: string, isDirectory: boolean): boolean {
    const rule = this.#rulesIn(parentOf(path)).findLast(
      ({ onlyDirectories, base, glob }) =>
        (isDirectory || !onlyDirectories) &&
        matchesPath(glob, base === '' ? path : path.slice(base.length + 1)),
    );
    return rule !== undefined && !rule.negated;
  }

  /** Returns the rules for the files of a directory; a later one prevails. */
  #rulesIn(dir: string): readonly Rule[] {
    const known = this.#known.get(dir);
    if (known !== undefined) return known;
    const outer = dir === '' ? this.#general : this.#rulesIn(parentOf(dir));
    const file = join(this.#top, Buffer.from(dir, 'latin1').toString(), '.gitignore');
    // Git does not follow it.
    if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true)
      throw new Error(`${file} is a symlink`);
    const rules = [...outer, ...parseRules(checkoutTextOf(file), dir)];
    this.#known.set(dir, rules);
    return rules;
  }
}

/** @throws Error for a pattern that only git can match */
function parseRules(text: string, base: string): readonly Rule[] {
  const withoutMark = text.replace(/^\u00ef\u00bb\u00bf/, '');
  return withoutMark.split('\n').flatMap((line) => {
    const trimmed = line.replace(/\r$/, '').replace(/ +$/, '');
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const negated = trimmed.startsWith('!');
    const pattern = negated ? trimmed.slice(1) : trimmed;
    const onlyDirectories = pattern.endsWith('/');
    const glob = parseGlob(onlyDirectories ? pattern.slice(0, -1) : pattern);
    return [{ negated, onlyDirectories, base, glob }];
  });
}
