import { posix } from 'node:path';
import { LktError, type SourceFile, sourceError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import { compileGlob, type Glob, GlobError } from './glob.ts';
import { parentsOf } from './source-tree.ts';

/**
 * The patterns of a .dockerignore file. The last pattern that matches a path or one of its parent
 * directories decides.
 */
export class IgnorePatterns {
  readonly #patterns: readonly { readonly glob: Glob; readonly keep: boolean }[];

  /**
   * @param patterns as in .dockerignore: relative to the root of the context, with `!` before a
   * pattern that keeps files, and `**` for any number of directories
   * @throws GlobError for a malformed pattern, without its index; use `parseDockerignore` for
   * positions
   */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.flatMap((pattern) => {
      const keep = pattern.startsWith('!');
      const path = cleanPattern(keep ? pattern.slice(1) : pattern);
      if (path === '' || path === '/') {
        if (keep) throw new GlobError('"!" has no pattern');
        return [];
      }
      return [{ glob: compileGlob(path, { separator: '/', deep: true, classes: true }), keep }];
    });
  }

  get empty(): boolean {
    return this.#patterns.length === 0;
  }

  /**
   * Reports whether a path is excluded.
   * @param path relative to the root of the context, separated by slashes, without a leading slash
   */
  ignores(path: string): boolean {
    let ignored = false;
    const parents = this.empty ? [] : [path, ...parentsOf(path)];
    for (const { glob, keep } of this.#patterns) {
      // Skips patterns that cannot change the result.
      if (keep === ignored && parents.some((candidate) => glob.matches(candidate))) {
        ignored = !keep;
      }
    }
    return ignored;
  }
}

/**
 * Parses a .dockerignore file: one pattern per line; `#` in the first column starts a comment.
 * @throws DOCKERFILE_INVALID with line and column for a malformed pattern
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
      // Compiled separately to know the line of an error.
      void new IgnorePatterns([pattern]);
    } catch (error) {
      if (!(error instanceof GlobError)) throw error;
      const at = { line: index + 1, column: Math.max(0, raw.indexOf(pattern)) + 1 };
      throw sourceError('DOCKERFILE_INVALID', file, at, `bad pattern: ${error.message}`, {
        length: pattern.length,
        fix: 'put \\ before a special character to match it literally',
      });
    }
    patterns.push(pattern);
  }
  return new IgnorePatterns(patterns);
}

/**
 * Returns the files of a build context that its ignore file does not exclude. The ignore file is
 * `<Dockerfile>.dockerignore` if it exists, else `.dockerignore`. Patterns can also exclude the
 * Dockerfile and the ignore file.
 * @param files with raw paths
 * @param read returns the text of a file
 * @param show returns the path of the ignore file for error messages
 * @throws DOCKERFILE_INVALID for a malformed pattern or an ignore file over 1 MiB; errors of `read`
 * @example
 * ```ts
 * const kept = await withoutIgnored(files, 'Dockerfile', (file) => readText(file));
 * ```
 */
export async function withoutIgnored<F extends { readonly path: RawPath }>(
  files: readonly F[],
  dockerfileName: string,
  read: (file: F) => Promise<string>,
  show: (file: F) => string = ({ path }) => fromRaw(path),
): Promise<readonly F[]> {
  const ignoreFile =
    files.find((file) => file.path === `${dockerfileName}.dockerignore`) ??
    files.find((file) => file.path === '.dockerignore');
  if (ignoreFile === undefined) return files;
  const text = await read(ignoreFile);
  if (text.length > MAX_IGNORE_FILE_LENGTH)
    throw new LktError('DOCKERFILE_INVALID', `${show(ignoreFile)} is larger than 1 MiB`);
  const patterns = parseDockerignore({ path: show(ignoreFile), text });
  return files.filter((file) => !patterns.ignores(fromRaw(file.path)));
}

const MAX_IGNORE_FILE_LENGTH = 1024 * 1024;

/** Cleans a pattern twice, as BuildKit does: a slash may hide blanks at the end. */
function cleanPattern(pattern: string): string {
  return cleanPath(cleanPath(pattern).replace(/^\/+(?=.)/, ''));
}

function cleanPath(path: string): string {
  const trimmed = path.trim();
  return trimmed === '' ? '' : posix.normalize(trimmed).replace(/(?<=.)\/+$/, '');
}
