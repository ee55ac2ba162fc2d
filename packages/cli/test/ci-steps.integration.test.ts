import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseYaml } from '@lkt/core';
import { startRegistry, startSigstore, type TestRegistry, type TestSigstore } from '@lkt/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { main } from './program.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

/** Runs the shell steps of the workflows in docs/ci and of GitLab's component, as a runner does. */
const root = join(import.meta.dirname, '../../..');
const work = mkdtempSync(join(tmpdir(), 'lkt-ci-'));
const TOKEN = 'token-of-the-job';
const ACTOR = 'builder';
const WORKFLOWS = 'https://github.com/acme/os/.github/workflows';
const PIPELINE = 'https://gitlab.example/acme/os//.gitlab-ci.yml@refs/heads/main';

const cleanup = new AsyncDisposableStack();
let registry: TestRegistry;
let sigstore: TestSigstore;

beforeAll(async () => {
  const auth = { scheme: 'token', users: { [ACTOR]: TOKEN } } as const;
  registry = cleanup.use(await startRegistry({ auth }));
  sigstore = cleanup.use(await startSigstore());
});
afterAll(async () => {
  await cleanup.disposeAsync();
  rmSync(work, { recursive: true });
});

type Variables = Readonly<Record<string, string>>;

const parse = (text: string): unknown => parseYaml({ path: 'workflow', text }).plain();

interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly if?: string;
  readonly id?: string;
  readonly env?: Variables;
}

interface Workflow {
  readonly env?: Variables;
  readonly jobs: Readonly<
    Record<string, { readonly env?: Variables; readonly steps?: readonly Step[] }>
  >;
}

/** A run of a job: values of expressions, and the identity that it signs with. */
interface Run {
  readonly repository: string;
  /** Name of the runner, which has a home of its own. */
  readonly runner: string;
  readonly values: Variables;
  readonly subject?: string;
}

/** The exit status of a script, and what it printed. */
interface Done {
  readonly status: number | null;
  readonly output: string;
}

/** Writes a repository with two packages and a policy, committed and pinned. */
async function repository(name: string, policy: string): Promise<string> {
  const dir = join(work, name);
  const files: Variables = {
    '.gitignore': '/lkt\n/dirs\n/plan.json\n/node_modules\n/out\n',
    'pkg/base/build.yml': 'org: example\nimage: base\narches: [amd64]\n',
    'pkg/base/Dockerfile': 'FROM scratch\nCOPY file /base\n',
    'pkg/base/file': name,
    'pkg/app/build.yml': 'org: example\nimage: app\narches: [amd64]\n',
    'pkg/app/Dockerfile': 'FROM example/base\nCOPY file /app\n',
    'pkg/app/file': 'app',
    'trust.yml': policy,
  };
  const program = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;
  for (const [path, text] of Object.entries(files)) write(join(dir, path), text);
  for (const path of ['lkt', 'node_modules/.bin/lkt']) write(join(dir, path), program, 0o755);
  cpSync(join(sigstore.directory, 'trusted_root.json'), join(dir, 'trusted_root.json'));
  const setup = `git init --quiet --initial-branch=main && git add --all && git commit --quiet -m one
./lkt pin && git commit --quiet -am pinned`;
  const done = await shell(setup, { repository: dir, runner: 'author', values: {} }, {});
  expect(done.status, done.output).toBe(0);
  return dir;
}

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode });
}

/** Runs a script as GitHub's and GitLab's runners do. */
async function shell(
  script: string,
  { repository: cwd, runner, subject }: Run,
  env: Variables,
): Promise<Done> {
  const home = join(work, 'runners', runner);
  mkdirSync(home, { recursive: true });
  const child = spawn('bash', ['-eo', 'pipefail', '-c', script], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      CI: 'true',
      NO_COLOR: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_NAME: 'A',
      GIT_AUTHOR_EMAIL: 'a@example.com',
      GIT_COMMITTER_NAME: 'A',
      GIT_COMMITTER_EMAIL: 'a@example.com',
      LKT_FULCIO_URL: sigstore.url,
      LKT_REKOR_URL: sigstore.url,
      LKT_TSA_URL: sigstore.url,
      ...(subject !== undefined && { SIGSTORE_ID_TOKEN: sigstore.issuer.token(subject) }),
      ...env,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, output };
}

/** Returns a text with the values of expressions. Fails for an expression without a value. */
function evaluated(text: string, values: Variables): string {
  return text
    .replaceAll(/\$\{\{ (.+?) \}\}/g, (_, expression: string) => {
      const value = values[expression];
      if (value === undefined) throw new Error(`no value for ${expression}`);
      return value;
    })
    .replaceAll('ghcr.io', registry.host);
}

/** Runs the shell steps of a job of GitHub. Returns the status of the first that fails. */
async function runJob(file: string, job: string, run: Run): Promise<Done> {
  const text = readFileSync(join(root, 'docs/ci', file), 'utf8');
  const { env = {}, jobs } = parse(text) as Workflow;
  const { env: own = {}, steps = [] } = jobs[job] ?? {};
  const output = join(work, 'output');
  writeFileSync(output, '');
  let printed = '';
  for (const step of steps) {
    if (step.run === undefined) continue;
    const condition = step.if === undefined ? 'true' : evaluated(step.if, run.values);
    if (condition !== 'true') continue;
    const given = Object.entries({ ...env, ...own, ...step.env });
    const variables = Object.fromEntries(
      given.map(([name, value]) => [name, evaluated(value, run.values)]),
    );
    const done = await shell(evaluated(step.run, run.values), run, {
      GITHUB_ACTOR: ACTOR,
      GITHUB_OUTPUT: output,
      GITHUB_REPOSITORY_OWNER: 'acme',
      ...variables,
    });
    printed += done.output;
    if (done.status !== 0) return { status: done.status, output: printed };
  }
  return { status: 0, output: printed + readFileSync(output, 'utf8') };
}

const PUSH: Variables = {
  'github.repository_owner': 'acme',
  'secrets.GITHUB_TOKEN': TOKEN,
  "github.event_name == 'push'": 'true',
  "github.event_name == 'pull_request'": 'false',
  'github.event.pull_request.base.sha || github.event.before': '0'.repeat(40),
  'github.event.before': '0'.repeat(40),
};

/** Returns the tags in the registry. */
function tags(): readonly string[] {
  return [...registry.storage.repositories.values()].flatMap((one) => [...one.tags.keys()]);
}

const identity = (subject: string): object => ({ issuer: sigstore.issuer.url, subject });

function policyOf(images: string, subject: string, rebuilder?: string): string {
  const rule = {
    images: [images],
    identities: [identity(subject)],
    ...(rebuilder !== undefined && { rebuilders: { identities: [identity(rebuilder)] } }),
  };
  return JSON.stringify({ required: true, trustedRoot: 'trusted_root.json', signers: [rule] });
}

test('publishes, rebuilds on a second runner and verifies both on GitHub', async () => {
  const publisher = `${WORKFLOWS}/publish.yml@refs/heads/main`;
  const rebuilder = `${WORKFLOWS}/github-rebuild.yml@refs/heads/main`;
  const policy = policyOf(`${registry.host}/acme/*`, publisher, rebuilder);
  const at = { repository: await repository('publish', policy), values: PUSH };
  const first = { ...at, runner: 'first', subject: publisher };
  const pushed = await runJob('github-publish.yml', 'publish', first);
  expect(pushed.status, pushed.output).toBe(0);
  // The gate wants the second runner's statement.
  const gate = { ...at, runner: 'gate' };
  const early = await runJob('github-publish.yml', 'verify', gate);
  expect(early.status).not.toBe(0);
  expect(early.output).toContain(`of ${rebuilder}`);
  const second = { ...at, runner: 'second', subject: rebuilder };
  const rebuilt = await runJob('github-rebuild.yml', 'rebuild', second);
  expect(rebuilt.status, rebuilt.output).toBe(0);
  const { status, output } = await runJob('github-publish.yml', 'verify', gate);
  expect(status, output).toBe(0);
  for (const name of ['app', 'base'])
    expect(output).toMatch(
      new RegExp(`/acme/${name}:[0-9a-f]{40}@sha256:[0-9a-f]{64}  signed$`, 'm'),
    );
});

test('builds what changed in waves on GitHub, and joins the platforms', async () => {
  const subject = `${WORKFLOWS}/images.yml@refs/heads/main`;
  const policy = policyOf(`${registry.host}/acme/*`, subject);
  const at = { repository: await repository('waves', policy), values: PUSH, subject };
  const planned = await runJob('github.yml', 'plan', { ...at, runner: 'plan' });
  expect(planned.status, planned.output).toBe(0);
  const [, plan = ''] = /plan<<END_OF_PLAN\n([^]*)\nEND_OF_PLAN$/m.exec(planned.output) ?? [];
  const { jobs } = JSON.parse(plan) as {
    readonly jobs: readonly (readonly { readonly dir: string; readonly platform: string }[])[];
  };
  expect(jobs).toMatchObject([[{ dir: 'pkg/base' }], [{ dir: 'pkg/app' }]]);
  const arm = "matrix.job.platform == 'linux/arm64' && 'arm64' || 'amd64'";
  for (const event of ['pull_request', 'push'])
    for (const { dir, platform } of jobs.flat()) {
      const values = {
        ...PUSH,
        'matrix.job.dir': dir,
        'matrix.job.platform': platform,
        [arm]: 'amd64',
        "github.event_name == 'push'": String(event === 'push'),
        "github.event_name == 'pull_request'": String(event === 'pull_request'),
      };
      const before = tags().length;
      const done = await runJob('github-wave.yml', 'build', {
        ...at,
        values,
        runner: `${event}-${dir}`,
      });
      expect(done.status, done.output).toBe(0);
      expect(tags().length > before).toBe(event === 'push');
    }
  const joined = await runJob('github.yml', 'join', { ...at, runner: 'join' });
  expect(joined.status, joined.output).toBe(0);
  const verify = `./lkt verify --org ${registry.host}/acme pkg/app pkg/base`;
  const { status, output } = await shell(verify, { ...at, runner: 'join' }, {});
  expect(status, output).toBe(0);
});

test('builds, publishes and verifies on GitLab with the component', async () => {
  const image = `${registry.host}/acme/os`;
  const text = readFileSync(join(root, 'tools/ci/gitlab.yml'), 'utf8');
  const [head = '', body = ''] = text.split(/^---$/m);
  const { spec } = parse(head) as {
    readonly spec: { readonly inputs: Readonly<Record<string, { readonly default: string }>> };
  };
  const jobs = parse(
    body.replaceAll(/\$\[\[ inputs\.([\w-]+) \]\]/g, (_, name: string) =>
      JSON.stringify(spec.inputs[name]?.default),
    ),
  ) as Readonly<
    Record<
      string,
      {
        readonly variables?: Variables;
        readonly before_script?: readonly string[];
        readonly script?: readonly string[];
      }
    >
  >;
  const { variables = {}, before_script: before = [] } = jobs['.lkt'] ?? {};
  // Installing programs is for the container.
  const prepare = before.filter((line) => !/^(?:apt-get|npm) /.test(line));
  expect(prepare).toHaveLength(before.length - 2);
  const predefined: Variables = {
    CI_COMMIT_BEFORE_SHA: '0'.repeat(40),
    CI_MERGE_REQUEST_DIFF_BASE_SHA: '0'.repeat(40),
    CI_REGISTRY: registry.host,
    CI_REGISTRY_IMAGE: image,
    CI_REGISTRY_PASSWORD: TOKEN,
    CI_REGISTRY_USER: ACTOR,
  };
  const env = {
    ...predefined,
    ...Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [
        name,
        value.replace(/^\$(\w+)$/, (_, other: string) => predefined[other] ?? ''),
      ]),
    ),
  };
  const at = {
    repository: await repository('gitlab', policyOf(`${image}/*`, PIPELINE)),
    values: {},
  };
  const run = async (job: string, subject?: string): Promise<Done> => {
    const script = [...prepare, ...(jobs[job]?.script ?? ['exit 9'])].join('\n');
    return shell(script, { ...at, runner: job, subject }, env);
  };
  const built = await run('lkt-build');
  expect(built.status, built.output).toBe(0);
  // Nothing is published yet.
  expect((await run('lkt-verify')).status).not.toBe(0);
  const published = await run('lkt-publish', PIPELINE);
  expect(published.status, published.output).toBe(0);
  const { status, output } = await run('lkt-verify');
  expect(status, output).toBe(0);
  expect(output).toContain(`${image}/app:`);
});
