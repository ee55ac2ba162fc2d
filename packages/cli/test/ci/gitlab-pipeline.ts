import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** A job with what its pipeline includes, and what it extends. */
export interface GitlabJob {
  readonly stage?: string;
  readonly script?: readonly string[];
  readonly before_script?: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly id_tokens?: Readonly<Record<string, unknown>>;
  readonly rules?: readonly unknown[];
}

/** The files of a repository with a `.gitlab-ci.yml`, by path. */
type Files = Readonly<Record<string, string>>;

/** The repository's address on GitLab. */
const REMOTE = 'https://gitlab.example/acme/lkt.git';

/** Returns the address of the component `lkt` in this repository. */
export const COMPONENT = '$CI_SERVER_FQDN/acme/lkt/lkt@$CI_COMMIT_SHA';

const program = fileURLToPath(import.meta.resolve('gitlab-ci-local'));

/**
 * Returns the jobs of a pipeline, expanded as GitLab does.
 * @throws Error for a pipeline that GitLab's schema rejects
 */
export function gitlabJobs(files: Files): Readonly<Record<string, GitlabJob>> {
  // It writes aliases, which lkt's own reader rejects.
  const {
    stages: _,
    variables: common,
    ...jobs
  } = parse(run(files, 'main', '--preview')) as Readonly<Record<string, GitlabJob>>;
  const expanded = Object.entries(jobs).map(([id, job]) => {
    const variables = { ...(common as GitlabJob['variables']), ...job.variables };
    return [id, { ...job, variables }] as const;
  });
  return Object.fromEntries(expanded);
}

/** Returns the names of the jobs that GitLab runs for a push to main, or for a merge request. */
export function gitlabRuns(files: Files, event: 'push' | 'merge_request_event'): readonly string[] {
  const name = 'CI_PIPELINE_SOURCE';
  const options = ['--variable', `${name}=${event}`, '--ignore-predefined-vars', name];
  const branch = event === 'push' ? 'main' : 'topic';
  const jobs = JSON.parse(run(files, branch, '--list-json', ...options)) as readonly {
    readonly name: string;
    readonly when: string;
  }[];
  return jobs.flatMap((job) => (job.when === 'never' ? [] : [job.name]));
}

function run(files: Files, branch: string, ...options: readonly string[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-gitlab-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(dir, dirname(path)), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    const env = { PATH: process.env['PATH'], HOME: dir, GIT_CONFIG_GLOBAL: '/dev/null' };
    // It reads what git tracks.
    for (const words of [
      ['init', '--quiet', `--initial-branch=${branch}`],
      ['remote', 'add', 'origin', REMOTE],
      ['add', '--all'],
      ['-c', 'user.name=A', '-c', 'user.email=a@b.c', 'commit', '--quiet', '--message', 'one'],
    ])
      spawnSync('git', words, { cwd: dir, env });
    const words = [program, ...options];
    const done = spawnSync(process.execPath, words, { cwd: dir, env, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(done.stdout + done.stderr);
    return done.stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
