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

const HOST = 'https://gitlab.example';

/** Returns the address of the component `lkt` in its own repository. */
export const COMPONENT = '$CI_SERVER_FQDN/acme/lkt/lkt@$CI_COMMIT_SHA';

/** Project of {@link COMPONENT}, and of a pipeline by itself. */
const LKT = 'acme/lkt';

/**
 * The files of a repository beside the one with the component. In its `.gitlab-ci.yml`, COMMIT
 * stands for the commit of the component.
 */
export interface OtherProject {
  readonly project: string;
  readonly files: Files;
}

const program = fileURLToPath(import.meta.resolve('gitlab-ci-local'));

/**
 * Returns the jobs of a pipeline, expanded as GitLab does.
 * @param files of the repository with the pipeline, or with the component that `other` includes
 * @throws Error for a pipeline that GitLab's schema rejects
 */
export function gitlabJobs(
  files: Files,
  other?: OtherProject,
): Readonly<Record<string, GitlabJob>> {
  // It writes aliases, which lkt's own reader rejects.
  const {
    stages: _,
    variables: common,
    ...jobs
  } = parse(run({ files, other }, 'main', '--preview')) as Readonly<Record<string, GitlabJob>>;
  const expanded = Object.entries(jobs).map(([id, job]) => {
    const variables = { ...(common as GitlabJob['variables']), ...job.variables };
    return [id, { ...job, variables }] as const;
  });
  return Object.fromEntries(expanded);
}

/** Returns the names of the jobs that GitLab runs for a push to main, or for a merge request. */
export function gitlabRuns(
  files: Files,
  event: 'push' | 'merge_request_event',
  other?: OtherProject,
): readonly string[] {
  const name = 'CI_PIPELINE_SOURCE';
  const options = ['--variable', `${name}=${event}`, '--ignore-predefined-vars', name];
  const branch = event === 'push' ? 'main' : 'topic';
  const jobs = JSON.parse(run({ files, other }, branch, '--list-json', ...options)) as readonly {
    readonly name: string;
    readonly when: string;
  }[];
  return jobs.flatMap((job) => (job.when === 'never' ? [] : [job.name]));
}

function run(
  { files, other }: { readonly files: Files; readonly other?: OtherProject | undefined },
  branch: string,
  ...options: readonly string[]
): string {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-gitlab-'));
  const config = join(dir, 'gitconfig');
  const env = { PATH: process.env['PATH'], HOME: dir, GIT_CONFIG_GLOBAL: config };
  try {
    // The component is fetched from its project on the same instance.
    const component = `${LKT}.git`;
    const server =
      other === undefined
        ? []
        : [`[url "file://${dir}/${component}"]`, `insteadOf = ${HOST}/${component}`];
    const lines = ['[user]', 'name = A', 'email = a@b.c', ...server, '[uploadpack]', 'allowFilter'];
    writeFileSync(config, `${lines.join('\n')}\n`);
    const own = commit(dir, LKT, other === undefined ? branch : 'main', files, env);
    const { project = LKT, files: others = {} } = other ?? {};
    if (other !== undefined) {
      const pinned = Object.entries(others).map(([path, text]) => [
        path,
        text.replaceAll('@COMMIT', `@${own}`),
      ]);
      commit(dir, project, branch, Object.fromEntries(pinned) as Files, env);
    }
    const cwd = join(dir, `${project}.git`);
    const words = [program, ...options];
    const done = spawnSync(process.execPath, words, { cwd, env, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(done.stdout + done.stderr);
    return done.stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Creates a repository with one commit, which gitlab-ci-local reads, and returns that. */
function commit(
  dir: string,
  project: string,
  branch: string,
  files: Files,
  env: NodeJS.ProcessEnv,
): string {
  const cwd = join(dir, `${project}.git`);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(cwd, dirname(path)), { recursive: true });
    writeFileSync(join(cwd, path), text);
  }
  const git = (...words: readonly string[]): string =>
    spawnSync('git', words, { cwd, env, encoding: 'utf8' }).stdout;
  git('init', '--quiet', `--initial-branch=${branch}`);
  git('remote', 'add', 'origin', `${HOST}/${project}.git`);
  git('add', '--all');
  git('commit', '--quiet', '--message', 'one');
  return git('rev-parse', 'HEAD').trim();
}
