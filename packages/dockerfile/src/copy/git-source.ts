import { type LktErrorCode, type SourceFile, sourceError } from '@lkt/core';
import { fromRoot } from './source-tree.ts';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

/** The files of a git commit that an ADD copies. The commit pins them. */
export interface GitSource {
  readonly source: CopySource;
  /** The URL for git, without fragment and query. */
  readonly remote: string;
  /** 40 hexadecimal digits, or 64 in a repository that uses SHA-256. */
  readonly commit: string;
  /** A branch or tag that must point to the commit, if one is written. */
  readonly ref: string | undefined;
  /**
   * The directory whose files are copied, without leading and trailing slashes; `''` for all files.
   */
  readonly directory: string;
  readonly submodules: boolean;
  /** The modification time of the files: a constant, or the time of the commit. */
  readonly time: 'epoch' | 'commit';
}

/** Returns how ADD fetches a source; undefined for files of the context. */
export function remoteKind(text: string): 'http' | 'git' | undefined {
  if (/^(?:git|ssh):\/\//i.test(text) || SCP.test(text)) return 'git';
  // As in BuildKit, an HTTP URL is a repository only if its path ends in .git.
  if (/^https?:\/\/[^?#]*\.git(?:[?#]|$)/i.test(text)) return 'git';
  return /^https?:\/\//i.test(text) ? 'http' : undefined;
}

/** `user@host:path`, the scp-like form of an ssh URL. */
const SCP = /^[A-Za-z0-9_][A-Za-z0-9_-]*@[A-Za-z0-9.-]+:[^#?]/;

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/**
 * The ref names that git allows (git-check-ref-format), except those that its command line could
 * interpret as an option or a revision expression.
 */
const REF = /^(?!.*(?:\.\.|\/\/|@\{|\.lock(?:\/|$)|\/\.|[/.]$))[A-Za-z0-9_][A-Za-z0-9_./@+-]*$/;

/** Reports whether text is a full commit hash. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/**
 * Returns the commit that an ADD of a git repository copies; undefined for any other step.
 * @throws GitSourceError for an invalid or ambiguous URL, or if no commit is named
 */
export function gitSource(step: CopyStep): GitSource | undefined {
  const source = step.sources.find(({ kind }) => kind === 'git');
  if (step.kind !== 'add' || source === undefined) return undefined;
  const [, remote = '', query, fragment] = URL_PARTS.exec(source.text) ?? [];
  const options = query === undefined ? fromFragment(fragment) : fromQuery(query, fragment);
  if (step.keepGitDir || options.keepGitDir === true)
    throw new GitSourceError(
      'the .git directory cannot be kept: its packs, times and index are not reproducible',
      'remove --keep-git-dir; pass the version to commands that would ask git, for example with ARG',
      'UNSUPPORTED',
    );
  checkUrl(remote);
  const { ref, directory, submodules, time } = options;
  const isPinned = ref !== undefined && isCommit(ref);
  const named = [step.checksum, options.checksum, isPinned ? ref : undefined].filter(
    (commit) => commit !== undefined,
  );
  const [commit] = named;
  if (commit === undefined) throw noCommit(remote, ref);
  if (!isCommit(commit))
    throw new GitSourceError(
      `"${commit}" is not a commit`,
      'write all of its 40 (or 64) lower-case hexadecimal digits',
    );
  const other = named.find((candidate) => candidate !== commit);
  if (other !== undefined)
    throw new GitSourceError(
      `the source names two commits, ${commit} and ${other}`,
      'remove one of them',
    );
  if (ref !== undefined && !isPinned && !REF.test(ref))
    throw new GitSourceError(
      `"${ref}" is not a valid branch or tag name`,
      'write its name, such as v1.2 or refs/tags/v1.2',
    );
  const branch = isPinned || options.byCommit === true ? undefined : ref;
  return { source, remote, commit, ref: branch, directory, submodules, time };
}

/** URL, query and fragment. */
const URL_PARTS = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

/**
 * A problem with the git source of an ADD; `checkGitSource` turns it into an LktError with a
 * position.
 */
class GitSourceError extends Error {
  readonly code: LktErrorCode;
  readonly fix: string;

  constructor(message: string, fix: string, code: LktErrorCode = 'DOCKERFILE_INVALID') {
    super(message);
    this.code = code;
    this.fix = fix;
  }
}

/**
 * Checks that an ADD of a git repository is valid and pinned to a commit. Does nothing for other
 * steps.
 * @throws PIN_MISSING if no commit is named
 * @throws DOCKERFILE_INVALID for an invalid URL, ref or commit
 * @throws UNSUPPORTED for --keep-git-dir, or for other sources in the same ADD
 */
export function checkGitSource(step: CopyStep, file: SourceFile): void {
  const source = step.sources.find(({ kind }) => kind === 'git');
  if (source === undefined) return;
  try {
    gitSource(step);
    if (step.sources.length + step.files.length > 1)
      throw new GitSourceError(
        'ADD of a git repository takes no other sources',
        'use an ADD for each',
        'UNSUPPORTED',
      );
  } catch (error) {
    if (!(error instanceof GitSourceError)) throw error;
    const { code, message, fix } = error;
    throw sourceError(code, file, source.position, message, { length: source.length, fix });
  }
}

function checkUrl(remote: string): void {
  const isUrl = remote.includes('://');
  if (/[\s\0]/.test(remote) || (isUrl && !URL.canParse(remote)))
    throw new GitSourceError(`${remote} is not a git URL`, 'write it as https://host/path.git');
  if (isUrl && new URL(remote).password !== '')
    throw new GitSourceError(
      'the repository URL contains a password, which would be public',
      'remove it, and configure a git credential helper',
    );
}

function noCommit(remote: string, ref: string | undefined): GitSourceError {
  return new GitSourceError(
    ref === undefined
      ? `no commit is given for ${remote}`
      : `no commit is given for ${ref} of ${remote}, which may move`,
    `add it after #, or as --checksum=COMMIT; find it with: git ls-remote '${remote}' ${ref ?? 'HEAD'}`,
    'PIN_MISSING',
  );
}

/** The settings in the URL of a git source. */
interface UrlOptions extends Pick<GitSource, 'ref' | 'directory' | 'submodules' | 'time'> {
  readonly checksum?: string;
  readonly keepGitDir?: boolean;
  readonly byCommit?: boolean;
}

/** Parses the fragment `ref:directory`. */
function fromFragment(fragment = ''): UrlOptions {
  const [, ref = '', directory = ''] = /^([^:]*)(?::(.*))?$/s.exec(fragment) ?? [];
  return {
    ref: ref === '' ? undefined : ref,
    directory: fromRoot(directory),
    submodules: true,
    time: 'epoch',
  };
}

const SWITCHES = ['submodules', 'keep-git-dir', 'fetch-by-commit'];
const PARAMETERS = ['ref', 'tag', 'branch', 'subdir', 'checksum', 'commit', 'mtime', ...SWITCHES];

/** Parses the query form of newer BuildKit versions: `?ref=…&subdir=…&checksum=…`. */
function fromQuery(query: string, fragment: string | undefined): UrlOptions {
  const given = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (given.has(key)) throw badQuery(`${key} is given twice in the URL`);
    if (!PARAMETERS.includes(key)) throw badQuery(`unknown parameter ${key} in a git URL`);
    if (value === '' && !SWITCHES.includes(key)) throw badQuery(`${key} has no value in the URL`);
    given.set(key, value);
  }
  const { ref, directory } = fromFragment(fragment);
  const refs = new Set(
    [
      ref,
      given.get('ref'),
      fullRef('tags', given.get('tag')),
      fullRef('heads', given.get('branch')),
    ].filter((name) => name !== undefined),
  );
  if (refs.size > 1) throw badQuery(`the URL names ${[...refs].join(' and ')}`);
  const subdir = fromRoot(given.get('subdir') ?? directory);
  if (directory !== '' && directory !== subdir) throw badQuery('the URL names two directories');
  const checksum = given.get('checksum') ?? given.get('commit');
  if (checksum !== (given.get('commit') ?? checksum)) throw badQuery('the URL names two commits');
  const mtime = given.get('mtime') ?? 'checkout';
  if (mtime !== 'checkout' && mtime !== 'commit')
    throw badQuery(`mtime=${mtime} in the URL is neither checkout nor commit`);
  return {
    ref: [...refs][0],
    checksum,
    directory: subdir,
    submodules: isTrue('submodules', given.get('submodules') ?? 'true'),
    keepGitDir: isTrue('keep-git-dir', given.get('keep-git-dir') ?? 'false'),
    byCommit: isTrue('fetch-by-commit', given.get('fetch-by-commit') ?? 'false'),
    time: mtime === 'commit' ? 'commit' : 'epoch',
  };
}

function fullRef(kind: 'tags' | 'heads', name: string | undefined): string | undefined {
  const prefix = `refs/${kind}/`;
  return name === undefined || name.startsWith(prefix) ? name : prefix + name;
}

function badQuery(message: string): GitSourceError {
  return new GitSourceError(
    message,
    'use ref, tag, branch, subdir, checksum, commit, submodules, fetch-by-commit and mtime, each at most once',
  );
}

function isTrue(key: string, value: string): boolean {
  if (/^(?:|1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw badQuery(`${key}=${value} in the URL is neither true nor false`);
}
