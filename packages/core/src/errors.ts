/**
 * The codes of expected errors. They are stable: scripts read them with `--json`. `docs/errors.md`
 * is generated from the comments.
 */
export type LktErrorCode =
  | 'ACCESS_DENIED' // the registry denied access: credentials are missing, wrong or insufficient
  | 'ARCHIVE_INVALID' // a tar, ar, cpio or compressed stream is malformed or exceeds a limit
  | 'AUDIT_FAILED' // the audit has findings that no waiver accepts
  | 'BUILD_FAILED' // a step of a Dockerfile failed
  | 'CACHE_LOCKED' // another process held a lock for longer than the wait
  | 'CONFIG_INVALID' // build.yml, an image config or a lock file is invalid
  | 'DEB_GONE' // the mirror no longer has a locked .deb
  | 'DEPENDENCY_UNRESOLVED' // no set of Debian packages satisfies the request
  | 'DIGEST_INVALID' // text is not a sha256 or sha512 digest
  | 'DIGEST_MISMATCH' // content does not match its digest or size
  | 'DISK_FULL' // the disk is full
  | 'DOCKERFILE_INVALID' // a Dockerfile violates the syntax or the rules of its instructions
  | 'FLEET_HALTED' // a roll stopped, because nodes of the wanted image fail
  | 'GIT_FAILED' // git failed, or the directory is not in a repository
  | 'HOST_UNSUPPORTED' // the host forbids or lacks a feature that a build or run needs
  | 'IMAGE_INVALID' // a manifest, index or config of an image violates its specification
  | 'INTERRUPTED' // Ctrl-C or SIGTERM
  | 'IO_FAILED' // the operating system failed to read or write a file
  | 'KEY_INVALID' // the signing key is invalid or its password is wrong
  | 'LEASE_HELD' // another controller manages the fleet
  | 'LEASE_LOST' // the controller could not keep its lease on the fleet
  | 'NETWORK_FAILED' // a network request failed
  | 'NOT_COMMITTED' // the content to publish differs from the commit
  | 'NOT_FOUND' // a named file, package, image or blob does not exist
  | 'NOT_REPRODUCIBLE' // a second build of a package produced another image
  | 'OUTDATED' // there is a newer version than the locked one, or a download is older than before
  | 'PIN_MISSING' // a reference lacks a digest
  | 'PIN_STALE' // a package no longer builds to its pinned digest
  | 'POLICY_MISSING' // no trust policy applies, and the command needs one
  | 'PROVIDER_FAILED' // a provider of machines failed, denied a request, or broke its protocol
  | 'REFERENCE_INVALID' // text is not an image reference
  | 'RUN_FAILED' // the virtual machine did not behave as expected
  | 'SIGNATURE_INVALID' // a signature is missing, wrong or not trusted
  | 'TAG_TAKEN' // a registry tag already refers to another image
  | 'TEST_FAILED' // a check of an image, or the command that tests an update, failed
  | 'TOOL_MISSING' // a required program is not installed on the host
  | 'TREE_CONFLICT' // two parts of an image need different files at the same path
  | 'UNSUPPORTED' // the input is valid, but this version does not support it
  | 'USAGE_INVALID' // the command line is invalid
  | 'VULNERABLE'; // a package has a known vulnerability that no VEX statement excludes

/**
 * An expected error of lkt; anything else that is thrown is a bug and prints a stack.
 *
 * The CLI prints three parts: `message` says what failed in the user's terms and starts with
 * `file:line:col` or a reference if there is one; `cause` says why; `fix` is the next command or
 * edit, in the imperative.
 *
 * @example
 * ```ts
 * throw new LktError('PIN_MISSING', `image "${name}" has no digest`, { fix: 'run lkt pin a.yml' });
 * ```
 */
export class LktError extends Error {
  override readonly name: string = 'LktError';
  readonly code: LktErrorCode;
  readonly fix: string | undefined;
  /** Lines printed unchanged below the message: a source excerpt with a caret, the end of a log. */
  readonly detail: string | undefined;
  /** Structured details for programs, printed by `--json`. */
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

/**
 * Returns an LktError with the same code, fix and detail whose message begins with `prefix`, and
 * `error` as its cause. Returns other errors unchanged.
 * @example
 * ```ts
 * throw withPrefix(error, `layer ${digest}: `);
 * ```
 */
export function withPrefix(error: unknown, prefix: string): unknown {
  if (!(error instanceof LktError)) return error;
  const { code, message, fix, detail } = error;
  return new LktError(code, `${prefix}${message}`, { cause: error, fix, detail });
}

/** Reports whether `error` is a system error with one of these codes, such as `ENOENT`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/**
 * Returns a rejection handler that returns undefined for an error with one of these codes, such as
 * `ENOENT` or `NOT_FOUND`, and throws any other.
 * @example
 * ```ts
 * const text = await readFile(path, 'utf8').catch(undefinedIf('ENOENT'));
 * ```
 */
export function undefinedIf(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!isErrno(error, ...codes)) throw error;
    return undefined;
  };
}
