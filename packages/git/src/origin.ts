import { findTop, splitRecords } from './repository.ts';
import type { Git } from './command.ts';

/** Where a commit can be fetched. */
export interface Origin {
  /** `git+https://…`, as in SPDX download locations; without user name, password and query. */
  readonly uri: string;
  /** Commit id of HEAD. */
  readonly commit: string;
}

/**
 * Returns the origin of the work tree that contains `dir`: HEAD, and the remote `origin` or the
 * only remote. Undefined outside git, without a commit, and for a remote on this machine.
 * @throws GIT_FAILED, TOOL_MISSING
 */
export async function readOrigin(
  git: Git,
  dir: string,
  signal?: AbortSignal,
): Promise<Origin | undefined> {
  const top = await findTop(git, dir);
  if (top === undefined) return undefined;
  const list = ['config', '--local', '-z', '--get-regexp', String.raw`^remote\..*\.url$`];
  const { stdout: remotes } = await git.run(top, list, { exits: [1], signal });
  const urls = new Map(
    splitRecords(remotes).flatMap((record) => {
      const [, name, url] = /^remote\.(.*)\.url\n(.*)$/s.exec(record) ?? [];
      return name === undefined || url === undefined ? [] : [[name, url] as const];
    }),
  );
  const url = urls.get('origin') ?? (urls.size === 1 ? [...urls.values()][0] : undefined);
  const uri = url === undefined ? undefined : publicUri(url);
  if (uri === undefined) return undefined;
  const verify = ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'];
  const { stdout, exit } = await git.run(top, verify, { exits: [1], signal });
  return exit === 0 ? { uri, commit: stdout.trim() } : undefined;
}

/**
 * Returns the URI of a git repository, as in SPDX download locations: `git+https://…`.
 * @param remote URL, or the form HOST:PATH of ssh, which is not one
 */
export function gitUri(remote: string): string {
  const [, host, path] = /^([^/:]+@[^/:]+):(.*)$/.exec(remote) ?? [];
  return `git+${host === undefined ? remote : `ssh://${host}/${path}`}`;
}

const PROTOCOLS: ReadonlySet<string> = new Set(['git+git:', 'git+http:', 'git+https:', 'git+ssh:']);

/** Removes credentials and other possible secrets from a URL. */
function publicUri(remote: string): string | undefined {
  const uri = gitUri(remote);
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || url.host === '' || !PROTOCOLS.has(url.protocol)) return undefined;
  return `${url.protocol}//${url.host}${url.pathname}`;
}
