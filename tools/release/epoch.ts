import { spawnSync } from 'node:child_process';

/** The file with the earliest time of a machine, relative to the checkout. */
const FILE = 'pkg/epoch/epoch.go';

/**
 * Returns why a tagged commit cannot be released, if its earliest time of a machine is not later
 * than that of the release before it.
 */
export function epochProblem(root: string): string | undefined {
  if (git(root, 'rev-parse', '--is-shallow-repository') === 'true')
    return 'error: the clone lacks the release before this one\n  fix: git fetch --unshallow --tags';
  const show = (commit: string): number | undefined =>
    epochOf(git(root, 'show', `${commit}:${FILE}`));
  const previous = git(root, 'describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*', 'HEAD^');
  const own = show('HEAD');
  if (own === undefined) return `error: ${FILE} has no date\n  fix: set the constant source`;
  const before = previous === '' ? undefined : show(previous);
  if (before === undefined || own > before) return undefined;
  return `error: ${FILE} has the date of ${previous}, or an earlier one\n  fix: set its date, run lkt pin, commit, and move the tag`;
}

/** Returns the date, in seconds since 1970. */
function epochOf(text: string): number | undefined {
  const [, seconds] = /^const source = (\d+)\b/m.exec(text) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

/** Returns the output of git, or nothing if it fails. */
function git(root: string, ...words: readonly string[]): string {
  const done = spawnSync('git', words, { cwd: root, encoding: 'utf8' });
  return done.status === 0 ? done.stdout.trim() : '';
}
