import { posix } from 'node:path';
import { LktError, type SourceFile, sourceError } from '@lkt/core';
import { compileGlob, type Glob, GlobError } from './glob.ts';

/** Decides which paths are left out. The last pattern that matches a path or a directory above it wins. */
export class IgnorePatterns {
  readonly #patterns: readonly { readonly glob: Glob; readonly keep: boolean }[];

  /**
   * @param patterns as in .dockerignore: relative to the root, `!` in front of one that keeps, `**` for any number of
   * directories.
   * @throws GlobError for a pattern that is malformed; its index is not known, see `parseDockerignore`.
   */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.flatMap((pattern) => {
      const keep = pattern.startsWith('!');
      const path = cleanPattern(keep ? pattern.slice(1) : pattern);
      if (path === '') {
        if (keep) throw new GlobError('a "!" stands alone');
        return [];
      }
      return [{ glob: compileGlob(path, { separator: '/', deep: true, classes: true }), keep }];
    });
  }

  get empty(): boolean {
    return this.#patterns.length === 0;
  }

  /** @param path relative to the root, with slashes, without one in front. */
  ignores(path: string): boolean {
    let ignored = false;
    const parents = this.empty ? [] : ancestorsAndSelf(path);
    for (const { glob, keep } of this.#patterns) {
      // A pattern that would not change the answer need not be tried.
      if (keep === ignored && parents.some((candidate) => glob.matches(candidate))) {
        ignored = !keep;
      }
    }
    return ignored;
  }
}

/**
 * Reads a .dockerignore file: one pattern a line, `#` in the first column starts a comment.
 * @throws LktError DOCKERFILE_INVALID with line and column for a malformed pattern.
 */
export function parseDockerignore(file: SourceFile): IgnorePatterns {
  const patterns: string[] = [];
  for (const [index, raw] of file.text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    if (raw.startsWith('#')) continue;
    const pattern = raw.trim();
    if (pattern === '') continue;
    try {
      // Compiled alone for the sake of the line number.
      void new IgnorePatterns([pattern]);
    } catch (error) {
      if (!(error instanceof GlobError)) throw error;
      const at = { line: index + 1, column: Math.max(0, raw.indexOf(pattern)) + 1 };
      throw sourceError('DOCKERFILE_INVALID', file, at, `bad pattern: ${error.message}`, {
        length: pattern.length,
        fix: 'put \\ before a character that is meant as it is',
      });
    }
    patterns.push(pattern);
  }
  return new IgnorePatterns(patterns);
}

/**
 * The files of a context that its ignore file leaves: `<Dockerfile>.dockerignore` if there is one, else
 * `.dockerignore`. The Dockerfile and the ignore file have no special place; a pattern can name them.
 * @param files paths in any encoding the caller uses, `read` gives the text of one of them.
 * @param show what errors call the ignore file.
 * @throws LktError DOCKERFILE_INVALID, and what `read` throws.
 */
export async function withoutIgnored<F extends { readonly path: string }>(
  files: readonly F[],
  dockerfileName: string,
  read: (file: F) => Promise<string>,
  decode: (path: string) => string,
  show: (file: F) => string = ({ path }) => decode(path),
): Promise<readonly F[]> {
  const ignoreFile =
    files.find((file) => file.path === `${dockerfileName}.dockerignore`) ??
    files.find((file) => file.path === '.dockerignore');
  if (ignoreFile === undefined) return files;
  const text = await read(ignoreFile);
  if (text.length > MAX_FILE) {
    throw new LktError('DOCKERFILE_INVALID', `${show(ignoreFile)} is larger than 1 MiB`);
  }
  const patterns = parseDockerignore({ path: show(ignoreFile), text });
  return files.filter((file) => !patterns.ignores(decode(file.path)));
}

const MAX_FILE = 1024 * 1024;

function cleanPattern(pattern: string): string {
  const trimmed = pattern.trim();
  if (trimmed === '') return '';
  const clean = posix.normalize(trimmed);
  return clean.replace(/^\/+(?=.)/, '').replace(/(?<=.)\/+$/, '');
}

function ancestorsAndSelf(path: string): readonly string[] {
  const paths = [path];
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    paths.push(path.slice(0, slash));
  }
  return paths;
}
