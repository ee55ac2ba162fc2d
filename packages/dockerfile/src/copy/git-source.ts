import { type LktError, type SourceFile, sourceError } from '@lkt/core';
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
 * take for an option or a revision expression.
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
export function gitSource({
  kind,
  sources,
  checksum,
  keepGitDir,
}: CopyStep): GitSource | undefined {
  const source = sources.find((candidate) => candidate.kind === 'git');
  if (kind !== 'add' || source === undefined) return undefined;
  const { remote, query, fragment } = splitUrl(source.text);
  const options = query === undefined ? fromFragment(fragment) : fromQuery(query, fragment);
  if (keepGitDir || options.keepGitDir) {
    throw new GitSourceError(
      'UNSUPPORTED',
      'the .git directory cannot be kept: its packs, times and index are not reproducible',
      'remove --keep-git-dir; pass the version to commands that would ask git, for example with ARG',
    );
  }
  checkUrl(remote);
  const { ref, ...rest } = options;
  const isPinned = ref !== undefined && isCommit(ref);
  const named = [checksum, options.checksum, isPinned ? ref : undefined].filter(
    (commit) => commit !== undefined,
  );
  const [commit] = named;
  if (commit === undefined) throw noCommit(remote, ref);
  if (!isCommit(commit)) {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      `"${commit}" is not a commit`,
      'write all of its 40 (or 64) lower-case hexadecimal digits',
    );
  }
  const other = named.find((candidate) => candidate !== commit);
  if (other !== undefined) {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      `the source names two commits, ${commit} and ${other}`,
      'remove one of them',
    );
  }
  if (ref !== undefined && !isPinned && !REF.test(ref)) {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      `"${ref}" is not a valid branch or tag name`,
      'write its name, such as v1.2 or refs/tags/v1.2',
    );
  }
  return {
    source,
    remote,
    commit,
    ref: isPinned || options.byCommit ? undefined : ref,
    directory: rest.directory,
    submodules: rest.submodules,
    time: rest.time,
  };
}

/**
 * A problem with the git source of an ADD; `checkGitSource` turns it into an LktError with a
 * position.
 */
class GitSourceError extends Error {
  readonly code: 'DOCKERFILE_INVALID' | 'PIN_MISSING' | 'UNSUPPORTED';
  readonly fix: string;

  constructor(code: GitSourceError['code'], message: string, fix: string) {
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
  const fail = ({ code, message, fix }: GitSourceError): LktError =>
    sourceError(code, file, source.position, message, { length: source.length, fix });
  try {
    gitSource(step);
  } catch (error) {
    if (!(error instanceof GitSourceError)) throw error;
    throw fail(error);
  }
  if (step.sources.length + step.files.length > 1) {
    throw fail(
      new GitSourceError(
        'UNSUPPORTED',
        'ADD of a git repository takes no other sources',
        'use an ADD for each',
      ),
    );
  }
}

interface Options {
  ref: string | undefined;
  checksum: string | undefined;
  directory: string;
  submodules: boolean;
  keepGitDir: boolean;
  byCommit: boolean;
  time: 'epoch' | 'commit';
}

function splitUrl(text: string): {
  remote: string;
  query: string | undefined;
  fragment: string | undefined;
} {
  const [, remote = '', query, fragment] = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? [];
  return { remote, query, fragment };
}

function checkUrl(remote: string): void {
  const isAddress =
    remote.includes('://') && !URL.canParse(remote) ? false : !/[\s\0]/.test(remote);
  if (!isAddress) {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      `${remote} is not a git URL`,
      'write it as https://host/path.git',
    );
  }
  if (remote.includes('://') && new URL(remote).password !== '') {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      'the repository URL contains a password, which would be public',
      'remove it, and configure a git credential helper',
    );
  }
}

function noCommit(remote: string, ref: string | undefined): GitSourceError {
  return new GitSourceError(
    'PIN_MISSING',
    ref === undefined
      ? `no commit is given for ${remote}`
      : `no commit is given for ${ref} of ${remote}, which may move`,
    `add it after #, or as --checksum=COMMIT; find it with: git ls-remote '${remote}' ${ref ?? 'HEAD'}`,
  );
}

const DEFAULT_OPTIONS: Readonly<Options> = {
  ref: undefined,
  checksum: undefined,
  directory: '',
  submodules: true,
  keepGitDir: false,
  byCommit: false,
  time: 'epoch',
};

/** Parses the fragment `ref:directory`. */
function fromFragment(fragment: string | undefined): Options {
  const [, ref = '', directory = ''] = /^([^:]*)(?::(.*))?$/s.exec(fragment ?? '') ?? [];
  return { ...DEFAULT_OPTIONS, ref: ref === '' ? undefined : ref, directory: cleanPath(directory) };
}

/** Parses the query form of newer BuildKit versions: `?ref=…&subdir=…&checksum=…`. */
function fromQuery(query: string, fragment: string | undefined): Options {
  const options = fromFragment(fragment);
  const refs = new Set(options.ref === undefined ? [] : [options.ref]);
  const seen = new Set<string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (seen.has(key)) throw badQuery(`${key} is given twice in the URL`);
    seen.add(key);
    const isSwitch = ['submodules', 'keep-git-dir', 'fetch-by-commit'].includes(key);
    if (value === '' && !isSwitch) throw badQuery(`${key} has no value in the URL`);
    switch (key) {
      case 'ref':
        refs.add(value);
        break;
      case 'tag':
        refs.add(value.startsWith('refs/tags/') ? value : `refs/tags/${value}`);
        break;
      case 'branch':
        refs.add(value.startsWith('refs/heads/') ? value : `refs/heads/${value}`);
        break;
      case 'subdir':
        if (options.directory !== '' && options.directory !== cleanPath(value))
          throw badQuery('the URL names two directories');
        options.directory = cleanPath(value);
        break;
      case 'checksum':
      case 'commit':
        if (options.checksum !== undefined && options.checksum !== value)
          throw badQuery('the URL names two commits');
        options.checksum = value;
        break;
      case 'submodules':
        options.submodules = isTrue(key, value);
        break;
      case 'keep-git-dir':
        options.keepGitDir = isTrue(key, value);
        break;
      case 'fetch-by-commit':
        options.byCommit = isTrue(key, value);
        break;
      case 'mtime':
        if (value !== 'checkout' && value !== 'commit')
          throw badQuery(`mtime=${value} in the URL is neither checkout nor commit`);
        options.time = value === 'commit' ? 'commit' : 'epoch';
        break;
      default:
        throw badQuery(`unknown parameter ${key} in a git URL`);
    }
  }
  if (refs.size > 1) throw badQuery(`the URL names ${[...refs].join(' and ')}`);
  [options.ref] = refs;
  return options;
}

function badQuery(message: string): GitSourceError {
  return new GitSourceError(
    'DOCKERFILE_INVALID',
    message,
    'use ref, tag, branch, subdir, checksum, commit, submodules, fetch-by-commit and mtime, each at most once',
  );
}

function isTrue(key: string, value: string): boolean {
  if (/^(?:|1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw badQuery(`${key}=${value} in the URL is neither true nor false`);
}

/** Removes `.`, `..` (which stops at the root) and superfluous slashes. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
