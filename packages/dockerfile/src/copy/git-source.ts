import { type LktError, type SourceFile, sourceError } from '@lkt/core';
import type { CopySource, CopyStep } from '../evaluate/steps.ts';

/** The files of a commit, as ADD takes them from a git repository. The commit names them for good. */
export interface GitSource {
  readonly source: CopySource;
  /** What git is given: the address without a fragment and a query. */
  readonly remote: string;
  /** 40 hexadecimal digits, or 64 in a repository that uses SHA-256. */
  readonly commit: string;
  /** A branch or a tag that has to lead to the commit, where one is written. */
  readonly ref: string | undefined;
  /** The directory whose files are taken, without slashes at its ends; `''` for all. */
  readonly directory: string;
  readonly submodules: boolean;
  /** The time of files: the same for all, or that of the commit. */
  readonly time: 'epoch' | 'commit';
}

/** How a source of ADD is fetched; undefined for files of the context. */
export function remoteKind(text: string): 'http' | 'git' | undefined {
  if (/^(?:git|ssh):\/\//i.test(text) || SCP.test(text)) return 'git';
  // As in BuildKit: only with this ending is it a repository.
  if (/^https?:\/\/[^?#]*\.git(?:[?#]|$)/i.test(text)) return 'git';
  return /^https?:\/\//i.test(text) ? 'http' : undefined;
}

/** `user@host:path`, which means ssh. */
const SCP = /^[A-Za-z0-9_][A-Za-z0-9_-]*@[A-Za-z0-9.-]+:[^#?]/;

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** What git lets be a name, and nothing that means something to its command line. */
const REF = /^(?!.*(?:\.\.|\/\/|@\{|\.lock(?:\/|$)|\/\.|[/.]$))[A-Za-z0-9_][A-Za-z0-9_./@+-]*$/;

/** Whether text is the name of a commit, whole. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/**
 * The commit that an ADD of a git repository adds; undefined for any other step.
 * @throws GitSourceError for an address that does not say what is meant, or names no commit
 */
export function gitSource({
  kind,
  sources,
  checksum,
  keepGitDir,
}: CopyStep): GitSource | undefined {
  const source = sources.find((candidate) => candidate.kind === 'git');
  if (kind !== 'add' || source === undefined) return undefined;
  const { remote, query, fragment } = split(source.text);
  const options = query === undefined ? fromFragment(fragment) : fromQuery(query, fragment);
  if (keepGitDir || options.keepGitDir) {
    throw new GitSourceError(
      'UNSUPPORTED',
      'the .git directory cannot be kept: its packs, times and index are not the same twice',
      'leave out --keep-git-dir, and give a command that asks git for a version the version, as with ARG',
    );
  }
  checkRemote(remote);
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
      `two commits are named, ${commit} and ${other}`,
      'leave out one of them',
    );
  }
  if (ref !== undefined && !isPinned && !REF.test(ref)) {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      `"${ref}" cannot be a branch or a tag`,
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

/** What is wrong with the source of an ADD; it becomes an error at its place. */
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
 * Says what is wrong with an ADD of a git repository.
 * @throws LktError PIN_MISSING without a commit, DOCKERFILE_INVALID, UNSUPPORTED
 */
export function checkGit(step: CopyStep, file: SourceFile): void {
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

function split(text: string): {
  remote: string;
  query: string | undefined;
  fragment: string | undefined;
} {
  const [, remote = '', query, fragment] = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? [];
  return { remote, query, fragment };
}

function checkRemote(remote: string): void {
  const isAddress =
    remote.includes('://') && !URL.canParse(remote) ? false : !/[\s\0]/.test(remote);
  if (!isAddress) {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      `${remote} is not an address`,
      'write it as https://host/path.git',
    );
  }
  if (remote.includes('://') && new URL(remote).password !== '') {
    throw new GitSourceError(
      'DOCKERFILE_INVALID',
      'the address of the repository holds a password, which everybody would see',
      'take it out, and let a credential helper of git know it',
    );
  }
}

function noCommit(remote: string, ref: string | undefined): GitSourceError {
  return new GitSourceError(
    'PIN_MISSING',
    ref === undefined
      ? `no commit is given for ${remote}`
      : `no commit is given for ${ref} of ${remote}, which may be another one tomorrow`,
    `write it after #, or as --checksum=COMMIT; git says it: git ls-remote '${remote}' ${ref ?? 'HEAD'}`,
  );
}

const NOTHING: Readonly<Options> = {
  ref: undefined,
  checksum: undefined,
  directory: '',
  submodules: true,
  keepGitDir: false,
  byCommit: false,
  time: 'epoch',
};

/** `ref:directory`. */
function fromFragment(fragment: string | undefined): Options {
  const [, ref = '', directory = ''] = /^([^:]*)(?::(.*))?$/s.exec(fragment ?? '') ?? [];
  return { ...NOTHING, ref: ref === '' ? undefined : ref, directory: cleaned(directory) };
}

/** BuildKit's form of newer versions: `?ref=…&subdir=…&checksum=…`. */
function fromQuery(query: string, fragment: string | undefined): Options {
  const options = fromFragment(fragment);
  const refs = new Set(options.ref === undefined ? [] : [options.ref]);
  const seen = new Set<string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (seen.has(key)) throw badQuery(`${key} is given twice in the address`);
    seen.add(key);
    const isSwitch = ['submodules', 'keep-git-dir', 'fetch-by-commit'].includes(key);
    if (value === '' && !isSwitch) throw badQuery(`${key} has no value in the address`);
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
        if (options.directory !== '' && options.directory !== cleaned(value))
          throw badQuery('two directories are named in the address');
        options.directory = cleaned(value);
        break;
      case 'checksum':
      case 'commit':
        if (options.checksum !== undefined && options.checksum !== value)
          throw badQuery('two commits are named in the address');
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
          throw badQuery(`mtime=${value} in the address is neither checkout nor commit`);
        options.time = value === 'commit' ? 'commit' : 'epoch';
        break;
      default:
        throw badQuery(`the address of a git repository has no ${key}`);
    }
  }
  if (refs.size > 1) throw badQuery(`the address names ${[...refs].join(' and ')}`);
  [options.ref] = refs;
  return options;
}

function badQuery(message: string): GitSourceError {
  return new GitSourceError(
    'DOCKERFILE_INVALID',
    message,
    'known are: ref, tag, branch, subdir, checksum, commit, submodules, fetch-by-commit, mtime, each once',
  );
}

function isTrue(key: string, value: string): boolean {
  if (/^(?:|1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw badQuery(`${key}=${value} in the address is neither true nor false`);
}

/** Without `.` and `..`, which ends at the root, and slashes that mean nothing. */
function cleaned(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
