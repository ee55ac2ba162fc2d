/**
 * Everything that can go wrong on purpose. Stable: `--json` output, exit codes and tests match on it.
 * `docs/errors.md` lists what each means; a test holds the two together.
 */
export type LktErrorCode =
  | 'ACCESS_DENIED' // a registry refuses: credentials are missing, wrong or not enough
  | 'ARCHIVE_INVALID' // a tar, ar, cpio or gzip stream breaks its format, or a limit
  | 'AUDIT_FAILED' // an audit found what its rules forbid
  | 'BUILD_FAILED' // a step of a Dockerfile ended with an error
  | 'CACHE_LOCKED' // another process holds a lock for longer than the wait
  | 'CONFIG_INVALID' // build.yml, an image config, a lock file
  | 'DEB_GONE' // a locked .deb has left the mirror
  | 'DEPENDENCY_UNRESOLVED' // no set of Debian packages satisfies what was asked
  | 'DIGEST_INVALID' // text that should be a sha256 digest is not one
  | 'DIGEST_MISMATCH' // content is not what its digest says
  | 'DISK_FULL' // there is no room for what has to be written
  | 'DOCKERFILE_INVALID' // a Dockerfile breaks the syntax or the rules of its instructions
  | 'GIT_FAILED' // git ended with an error, or the directory is in no repository
  | 'HOST_UNSUPPORTED' // the machine forbids or lacks something a build or a run needs
  | 'IMAGE_INVALID' // a manifest, index or config of an image breaks its specification
  | 'INTERRUPTED' // Ctrl-C or SIGTERM
  | 'IO_FAILED' // the operating system refused to read or write a file
  | 'KEY_INVALID' // a key for signatures is none, or the password for it is wrong
  | 'NETWORK_FAILED' // a download did not work
  | 'NOT_COMMITTED' // what would be published is not what is committed
  | 'NOT_FOUND' // a file, package, image or blob that was named is not there
  | 'NOT_REPRODUCIBLE' // a second build of a package gave another image
  | 'OUTDATED' // there is something newer than what is locked
  | 'PIN_MISSING' // a reference without a digest
  | 'PIN_STALE' // a package no longer gives the digest that is pinned
  | 'REFERENCE_INVALID' // text that should name an image does not
  | 'RUN_FAILED' // the virtual machine did not do what was expected of it
  | 'SIGNATURE_INVALID' // a signature is missing, wrong, or of a key that is not trusted
  | 'TAG_TAKEN' // a tag of a registry stands for something else already
  | 'TOOL_MISSING' // a program of the host is not installed
  | 'TREE_CONFLICT' // two parts of an image want one path to be different things
  | 'UNSUPPORTED' // valid input that this version does not implement
  | 'USAGE_INVALID'; // a command line that makes no sense

/**
 * The error every lkt package throws on purpose.
 *
 * A problem has three parts, and the CLI prints all three: what went wrong (`message`, in the user's terms, starting
 * with `file:line:col` or a reference where there is one), why (`cause`), and what to do next (`fix`, an imperative
 * sentence). Anything else that is thrown is a bug in lkt and prints a stack.
 */
export class LktError extends Error {
  override readonly name: string = 'LktError';
  readonly code: LktErrorCode;
  readonly fix: string | undefined;
  /** Lines shown under the message as they are: an excerpt of the source with a caret, the end of a log. */
  readonly detail: string | undefined;
  /** All that is known, for programs: `--json` shows it. */
  readonly report: object | undefined;

  constructor(
    code: LktErrorCode,
    message: string,
    options: { cause?: unknown; fix?: string; detail?: string; report?: object } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.fix = options.fix;
    this.detail = options.detail;
    this.report = options.report;
  }
}

/** Whether `error` is the operating system's error `code`, such as `ENOENT`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
