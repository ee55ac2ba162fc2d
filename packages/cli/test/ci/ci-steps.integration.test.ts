import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseYaml } from '@lkt/core';
import { createServer } from 'node:http';
import {
  startRegistry,
  startSigstore,
  type TestRegistry,
  type TestSigstore,
  zipOf,
} from '@lkt/testing';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestArchive } from '../../../debian/test/test-archive.ts';
import { tinyImage } from '../../../machine/test/tiny-kernel.ts';
import { gitlabJobs, type OtherProject } from './gitlab-pipeline.ts';
import { main } from '../program.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

/** Runs the shell steps of the workflows in docs/ci and of GitLab's component, as a runner does. */
const root = join(import.meta.dirname, '../../../..');
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
  readonly subject?: string | undefined;
  /** Variables of the runner. */
  readonly env?: Variables;
  /** Files that lie over others of the machine, by path. */
  readonly mounts?: Variables;
}

/** The exit status of a script, and what it printed. */
interface Done {
  readonly status: number | null;
  readonly output: string;
}

const PROGRAM = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;

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
    // As a repository of lkt init, with the lkt of this checkout.
    'package.json': JSON.stringify({ private: true, devDependencies: { '@lkt/cli': 'file:cli' } }),
    'package-lock.json': JSON.stringify({
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': { devDependencies: { '@lkt/cli': 'file:cli' } },
        cli: { name: '@lkt/cli', version: '1.0.0', dev: true, bin: { lkt: 'lkt' } },
        'node_modules/@lkt/cli': { resolved: 'cli', link: true },
      },
    }),
    'cli/package.json': JSON.stringify({
      name: '@lkt/cli',
      version: '1.0.0',
      bin: { lkt: 'lkt' },
    }),
  };
  for (const [path, text] of Object.entries(files)) write(join(dir, path), text);
  for (const path of ['lkt', 'cli/lkt']) write(join(dir, path), PROGRAM, 0o755);
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
  { repository: cwd, runner, subject, env: own = {}, mounts = {} }: Run,
  env: Variables,
): Promise<Done> {
  const home = join(work, 'runners', runner);
  mkdirSync(home, { recursive: true });
  const over = Object.entries(mounts).map(([path, file]) => `mount --bind ${file} ${path}\n`);
  const words = ['-eo', 'pipefail', '-c', over.join('') + script];
  const [program, before] = over.length === 0 ? ['bash', []] : ['unshare', ['--mount', 'bash']];
  const child = spawn(program, [...before, ...words], {
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
      ...own,
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

/** Runs jobs of a GitLab pipeline. */
type GitlabRun = (job: string, more?: { subject?: string; variables?: Variables }) => Promise<Done>;

/**
 * Returns a function that runs the scripts of a pipeline's jobs, and checks their status.
 * @param files of the repository with the pipeline, or with the component that `other` includes
 */
async function gitlabPipeline(
  name: string,
  files: Variables,
  other?: OtherProject,
): Promise<{ readonly run: GitlabRun; readonly repository: string; readonly image: string }> {
  const jobs = gitlabJobs(files, other);
  const image = `${registry.host}/acme/${name}`;
  const predefined: Variables = {
    CI_COMMIT_BEFORE_SHA: '0'.repeat(40),
    CI_MERGE_REQUEST_DIFF_BASE_SHA: '0'.repeat(40),
    CI_REGISTRY: registry.host,
    CI_REGISTRY_IMAGE: image,
    CI_REGISTRY_PASSWORD: TOKEN,
    CI_REGISTRY_USER: ACTOR,
  };
  const at = { repository: await repository(name, policyOf(`${image}/*`, PIPELINE)), values: {} };
  const run: GitlabRun = async (id, { subject, variables: given = {} } = {}) => {
    const { before_script: before = [], script = ['exit 9'], variables = {} } = jobs[id] ?? {};
    // The packages exist. To install them would change this machine.
    const prepare = before.map((line) =>
      line.replace(/^apt-get update && apt-get /, 'apt-get --simulate '),
    );
    expect(prepare).not.toEqual(before);
    const own = Object.entries({ ...variables, ...given }).map(([variable, value]) => [
      variable,
      value.replaceAll(/\$\{?(\w+)\}?/g, (_, key: string) => predefined[key] ?? ''),
    ]);
    const env = { ...predefined, ...(Object.fromEntries(own) as Variables) };
    return shell([...prepare, ...script].join('\n'), { ...at, runner: id, subject }, env);
  };
  return { run, repository: at.repository, image };
}

test('builds, publishes and verifies on GitLab with the component', async () => {
  const component = readFileSync(join(root, 'templates/lkt.yml'), 'utf8');
  // As others do: from their project, with the component of another one.
  const include = 'include: [{ component: $CI_SERVER_FQDN/acme/lkt/lkt@COMMIT }]\n';
  const other = { project: 'acme/os', files: { '.gitlab-ci.yml': include } };
  const files = { 'templates/lkt.yml': component };
  const { run, image } = await gitlabPipeline('component', files, other);
  const built = await run('lkt-build');
  expect(built.status, built.output).toBe(0);
  // Nothing is published yet.
  expect((await run('lkt-verify')).status).not.toBe(0);
  const published = await run('lkt-publish', { subject: PIPELINE });
  expect(published.status, published.output).toBe(0);
  const { status, output } = await run('lkt-verify');
  expect(status, output).toBe(0);
  expect(output).toContain(`${image}/app:`);
});

test('builds what changed on GitLab with a step cache, and joins the platforms', async () => {
  const files = { '.gitlab-ci.yml': readFileSync(join(root, 'docs/ci/gitlab.yml'), 'utf8') };
  const { run, repository: dir, image } = await gitlabPipeline('pipeline', files);
  const variables = { PLATFORM: 'linux/amd64', STEPS: '$CI_REGISTRY_IMAGE/lkt-steps:amd64' };
  const released = await run('release', { subject: PIPELINE, variables });
  expect(released.status, released.output).toBe(0);
  const before = tags();
  // A merge request builds with the steps of the default branch, and writes nothing.
  const tried = await run('try', { variables });
  expect(tried.status, tried.output).toBe(0);
  expect(tried.output).toMatch(/^example\/app: done \S+, 1 step, 1 cached /m);
  expect(tags()).toEqual(before);
  const joined = await run('join', { subject: PIPELINE });
  expect(joined.status, joined.output).toBe(0);
  const verify = `./lkt verify --org ${image} pkg/app pkg/base`;
  const { status, output } = await shell(
    verify,
    { repository: dir, runner: 'join', values: {} },
    {},
  );
  expect(status, output).toBe(0);
});

test('opens a pull request with security updates on GitHub', async () => {
  await using archive = await TestArchive.create();
  await archive.publish('trixie', [{ name: 'app', version: '1.0-1' }]);
  const server = cleanup.use(await startServer({ '/tracker': TRACKER, '/go.zip': GO_DATABASE }));
  const dir = mkdtempSync(join(work, 'updates-'));
  const debian = 'debian:\n  suite: trixie\n  packages: [app]\n';
  const files: Variables = {
    '.gitignore': '/lkt\n/bin\n',
    'tools/base/build.yml': `org: example\nimage: base\narches: [amd64]\n${debian}`,
    'pkg/app/build.yml': 'org: example\nimage: app\narches: [amd64]\n',
    'pkg/app/Dockerfile': 'FROM example/base\nCOPY Dockerfile /app\n',
    'pkg/kernel/build.yml': 'org: example\nimage: kernel\narches: [amd64]\n',
    'pkg/kernel/Dockerfile': 'FROM scratch\nCOPY kernel /kernel\n',
    'examples/sshd.yml':
      'kernel: { image: example/kernel, cmdline: quiet, tar: none }\ninit: [example/app]\n',
    'trust.yml': 'required: true\n',
  };
  for (const [path, text] of Object.entries(files)) write(join(dir, path), text);
  write(join(dir, 'lkt'), PROGRAM, 0o755);
  await using tiny = await tinyImage('');
  cpSync(`${tiny.prefix}-kernel`, join(dir, 'pkg/kernel/kernel'));
  // GitHub's own program has no server to talk to here.
  write(join(dir, 'bin/gh'), '#!/bin/sh\necho "gh $*" >&2\n', 0o755);
  const origin = mkdtempSync(join(work, 'origin-'));
  const [mirror = ''] = archive.mirror.archives.debian;
  const temporary = mkdtempSync(join(work, 'temp-'));
  const at = {
    repository: dir,
    runner: 'updates',
    values: { 'github.token': TOKEN },
    // Signatures of the archive are verified by the keyring of Debian's package.
    mounts: { '/usr/share/keyrings/debian-archive-keyring.pgp': archive.keyring },
    env: {
      PATH: `${join(dir, 'bin')}:${process.env['PATH']}`,
      LKT_DEBIAN_MIRROR: mirror,
      LKT_VULNS_DEBIAN: `${server.url}/tracker`,
      LKT_VULNS_GO: `${server.url}/go.zip`,
      RUNNER_TEMP: temporary,
    },
  };
  const setup = `git init --quiet --bare ${origin}
git init --quiet --initial-branch=main && git remote add origin ${origin}
./lkt pkg lock tools/base && git add --all && ./lkt pin
git add --all && git commit --quiet -m one && git push --quiet origin main`;
  const prepared = await shell(setup, at, {});
  expect(prepared.status, prepared.output).toBe(0);
  const branches = async (): Promise<string> =>
    (await shell('git ls-remote --heads origin', at, {})).output;

  const nothing = await runJob('github-updates.yml', 'update', at);
  expect(nothing.status, nothing.output).toBe(0);
  expect(nothing.output).not.toContain('gh pr');
  expect(await branches()).not.toContain('security-updates');

  const security = [{ name: 'app', version: '1.0-1+deb13u1' }];
  await archive.publish('trixie', [{ name: 'app', version: '1.0-1' }], { security });
  const { status, output } = await runJob('github-updates.yml', 'update', at);
  expect(status, output).toBe(0);
  expect(output).toContain('gh pr create --head security-updates');
  expect(await branches()).toContain('refs/heads/security-updates');
  expect(readFileSync(join(temporary, 'summary.md'), 'utf8')).toContain('1.0-1+deb13u1');
  const shown = await shell('git show --stat origin/security-updates', at, {});
  for (const path of ['tools/base/debian.lock', 'pkg/app/Dockerfile', 'examples/sshd.yml'])
    expect(shown.output).toContain(path);
});

test('shows the plan of a fleet for a pull request on GitHub, and applies it from main', async () => {
  const server = cleanup.use(
    await startServer({ '/id?x=1&audience=sts.amazonaws.com': '{"value":"id"}' }),
  );
  await using guarded = guardedDirectory('lkt-ci-fleet-');
  const { path: dir } = guarded;
  const temporary = mkdtempSync(join(work, 'temp-'));
  const summary = join(temporary, 'summary.md');
  await using one = await tinyImage('healthy');
  write(join(dir, 'lkt'), PROGRAM, 0o755);
  const env = {
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: TOKEN,
    ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url}/id?x=1`,
    GITHUB_STEP_SUMMARY: summary,
    RUNNER_TEMP: temporary,
    XDG_STATE_HOME: join(temporary, 'state'),
  };
  const values = { ...PUSH, 'vars.AWS_ROLE': 'arn:aws:iam::1:role/x', 'runner.temp': temporary };
  const at = { repository: dir, runner: 'fleet', values, env };
  const publisher = `${WORKFLOWS}/publish.yml@refs/heads/main`;
  const image = `${registry.host}/acme/fleet`;
  write(join(dir, 'trust.yml'), policyOf(image, publisher));
  cpSync(join(sigstore.directory, 'trusted_root.json'), join(dir, 'trusted_root.json'));
  const setup = `echo ${TOKEN} | ./lkt login ${registry.host} -u ${ACTOR} --password-stdin
./lkt fleet image ${one.prefix} ${image}:1 > image
./lkt cache push ${image}:1 && ./lkt pkg sign "$(cat image)"`;
  const pushed = await shell(setup, { ...at, runner: 'publisher', subject: publisher }, {});
  expect(pushed.status, pushed.output).toBe(0);
  const fleet = (size: number): string => `version: "1"
name: ci
providers: { here: { qemu: { accelerator: tcg, state: nodes } } }
groups:
  web:
    provider: here
    image: ${readFileSync(join(dir, 'image'), 'utf8').trim()}
    size: ${size}
    template: { memory: 4M }
    health: { console: healthy }
    grace: 0s
`;
  write(join(dir, 'fleet.yml'), fleet(1));
  const planned = await runJob('github-fleet.yml', 'plan', at);
  expect(planned.status, planned.output).toBe(0);
  expect(readFileSync(summary, 'utf8')).toMatch(/^```\nweb: [^]*\+ 1 new\n```\n$/);
  expect(readFileSync(join(temporary, 'identity'), 'utf8')).toBe('id\n');
  for (const size of [1, 0]) {
    write(join(dir, 'fleet.yml'), fleet(size));
    const applied = await runJob('github-fleet.yml', 'apply', at);
    expect(applied.status, applied.output).toBe(0);
    expect(applied.output).toContain(`web: ${size} of ${size} available, converged`);
  }
});

/** Debian's security tracker. */
const TRACKER = JSON.stringify({
  app: { 'CVE-2026-1111': { releases: { trixie: { status: 'open', urgency: 'high' } } } },
});
/** A database of Go without an advisory about a package here. */
const GO_DATABASE = zipOf({ 'GO-1.json': '{ "id": "GO-1" }' });

/** Starts a server with these bodies, by URL. */
async function startServer(
  bodies: Readonly<Record<string, string | Buffer>>,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(({ url = '' }, response) => {
    const body = bodies[url];
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
