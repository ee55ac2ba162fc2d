import { spawnSync } from 'node:child_process';

/** A release: the version and origin of all its packages. */
export interface Release {
  /** The checkout. */
  readonly root: string;
  readonly version: string;
  /** Whether the checkout is exactly a tagged commit. */
  readonly isTagged: boolean;
  /** Where npm finds the sources; undefined if neither CI nor git knows. */
  readonly repository: string | undefined;
  /** Directory of the directories that are packed, one a package. */
  readonly stage: string;
}

/** A package as it is packed. */
export interface Staged {
  readonly name: string;
  readonly directory: string;
  /** Paths of files that the package has and may have; a pattern needs at least one file. */
  readonly files: readonly (string | RegExp)[];
  /** Packages that a bundled library looks for, and does without. */
  readonly mayImport?: readonly string[];
}

/** The fields of `package.json` that a release reads or writes. */
export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly type?: string;
  readonly exports?: string | Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly engines?: { readonly node: string };
  readonly [field: string]: unknown;
}

/** Version of a checkout that is not tagged. */
const UNRELEASED = '0.0.0';

/**
 * Returns the release that a checkout is. A tag `v1.2.3` of the commit names the version, of all
 * packages.
 */
export function releaseOf(root: string, stage: string): Release {
  const git = (...words: readonly string[]): string => {
    const done = spawnSync('git', words, { cwd: root, encoding: 'utf8' });
    return done.status === 0 ? done.stdout.trim() : '';
  };
  const tag = git('describe', '--tags', '--exact-match', '--match', 'v[0-9]*');
  const isClean = git('status', '--porcelain') === '';
  const isTagged = isClean && VERSION_TAG.test(tag);
  return {
    root,
    version: isTagged ? tag.slice(1) : UNRELEASED,
    isTagged,
    repository: repositoryOf(process.env, git('remote', 'get-url', 'origin')),
    stage,
  };
}

const VERSION_TAG = /^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

/** Returns the address of the repository, which npm's provenance compares with that of CI. */
function repositoryOf(
  env: Readonly<Record<string, string | undefined>>,
  origin: string,
): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: path, CI_PROJECT_URL: gitlab } = env;
  if (server !== undefined && path !== undefined) return `git+${server}/${path}.git`;
  if (gitlab !== undefined) return `git+${gitlab}.git`;
  return /^https:\/\/[^@]+$/.test(origin) ? `git+${origin}` : undefined;
}

/** Returns the fields that every package of the release has. */
export function commonFields(
  { version, repository }: Release,
  directory: string,
): Readonly<Record<string, unknown>> {
  return {
    version,
    license: 'Apache-2.0',
    ...(repository === undefined
      ? {}
      : { repository: { type: 'git', url: repository, directory } }),
    publishConfig: { access: 'public', provenance: true },
  };
}
