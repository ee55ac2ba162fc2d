import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { avoidedWords } from './words/avoided.ts';
import { type Finding, findingsOf } from './words/findings.ts';
import { PENDING } from './words/pending.ts';
import { problemOfSubject } from './words/subject.ts';

// Checks the words of the repository by docs/style.md and docs/glossary.md, and the subjects of
// commits. With `--pending` it prints how many findings each path of PENDING has left.

const root = join(import.meta.dirname, '..');

/** They name the words that they rule out. */
const EXEMPT = ['docs/style.md', 'docs/glossary.md', 'tools/test/check-words.test.ts'];

const glossary = readFileSync(join(root, 'docs/glossary.md'), 'utf8');
const avoided = avoidedWords(glossary);
const findings = files()
  .filter((path) => !EXEMPT.includes(path))
  .flatMap((path) => findingsOf(path, readFileSync(join(root, path), 'utf8'), avoided));

if (process.argv.includes('--pending')) {
  for (const prefix of PENDING) {
    const left = findings.filter(({ path }) => path.startsWith(prefix));
    process.stdout.write(`${prefix} ${left.length}\n`);
  }
} else {
  const counted = findings.filter(({ path }) => !PENDING.some((prefix) => path.startsWith(prefix)));
  const problems = [...counted.map(lineOf), ...commitProblems()];
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

function lineOf({ path, line, message }: Finding): string {
  return `${path}:${line}: ${message}`;
}

/** Returns the files that git does not ignore; without git, all but those of other tools. */
function files(): readonly string[] {
  const listed = git('ls-files', '-z', '--cached', '--others', '--exclude-standard');
  const paths =
    listed?.split('\0') ??
    globSync('**/*', { cwd: root, exclude: ['**/node_modules', '.tsbuild', '.nx', 'dist', 'out'] });
  return paths.filter(
    (path) => statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true,
  );
}

/**
 * Returns the problems of all commits since the style guide was added. Without git there are no
 * commits, and a shallow clone has only some of them.
 */
function commitProblems(): readonly string[] {
  const added = git('log', '--diff-filter=A', '--format=%H', '--', 'docs/style.md');
  const first = added?.trim().split('\n').at(-1);
  if (first === undefined || first === '') return [];
  const log = git('log', '--no-merges', '--format=%h %s', `${first}..HEAD`) ?? '';
  return log.split('\n').flatMap((entry) => {
    const [hash = '', ...words] = entry.split(' ');
    const problem = hash === '' ? undefined : problemOfSubject(words.join(' '));
    return problem === undefined ? [] : [`commit ${entry}: ${problem}`];
  });
}

function git(...args: readonly string[]): string | undefined {
  const done = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  return done.status === 0 ? done.stdout : undefined;
}
