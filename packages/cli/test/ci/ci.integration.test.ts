import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { parseAction } from '@actions/workflow-parser/actions/action-parser';
import { parseYaml } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { projectFiles } from '../../src/init/project-files.ts';
import { accept, calls } from '../calls.ts';
import { COMPONENT, gitlabJobs, gitlabRuns, type OtherProject } from './gitlab-pipeline.ts';

/** The workflows in docs/ci: lkt accepts their commands, and their references resolve. */
const dir = join(import.meta.dirname, '../../../../docs/ci');
const action = join(import.meta.dirname, '../../../../tools/ci/setup-lkt');
const component = '../../templates/lkt.yml';
const files = [...globSync('*.yml', { cwd: dir }).toSorted(), component];

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly needs?: readonly string[];
  readonly uses?: string;
  readonly with?: Readonly<Record<string, string>>;
  readonly 'runs-on'?: string;
  readonly steps?: readonly Step[];
  readonly outputs?: Readonly<Record<string, string>>;
  readonly permissions?: Readonly<Record<string, string>>;
}

interface Workflow {
  readonly on: Readonly<Record<string, { readonly inputs?: Readonly<Record<string, unknown>> }>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Parses a workflow; of a GitLab component the part after its inputs. */
const parse = (text: string): unknown =>
  parseYaml({ path: 'workflow', text: text.split(/^---$/m).at(-1) ?? '' }).plain();
const read = (name: string): string => readFileSync(join(dir, name), 'utf8');

test('has workflows for GitHub and GitLab', () => {
  expect(files).toEqual([
    'github-fleet.yml',
    'github-publish.yml',
    'github-rebuild.yml',
    'github-updates.yml',
    'github-wave.yml',
    'github.yml',
    'gitlab.yml',
    component,
  ]);
});

describe.each(files)('%s', (name) => {
  test('calls lkt only with arguments that it accepts', async () => {
    const found = calls(read(name));
    expect(found.length).toBeGreaterThan(1);
    for (const words of found) await accept(words);
  });

  test('puts no untrusted input into a script', () => {
    for (const script of scriptsOf(parse(read(name)))) expect(script).not.toContain('${{');
  });
});

test('rejects arguments that lkt does not accept', async () => {
  await expect(accept(['pkg', 'build', '--cash-from', 'x', 'dir'])).rejects.toThrow(/cash-from/);
  await expect(accept(['pkg', 'bild', 'dir'])).rejects.toThrow(/no command/);
  expect(calls('a: ./lkt pkg build --platforms "$P" x && ./lkt ci plan > "$f"')).toEqual([
    ['pkg', 'build', '--platforms', 'value', 'x'],
    ['ci', 'plan'],
  ]);
});

describe.each(files.filter((name) => name.startsWith('github')))('%s', (name) => {
  const workflow = parse(read(name)) as Workflow;
  const jobs = Object.entries(workflow.jobs);

  test('follows the schema of GitHub', () => {
    expect(problemsOf(parseWorkflow, read(name))).toEqual([]);
  });

  test('has jobs that run on a runner or call a local workflow, and need only existing jobs', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    for (const [id, job] of jobs) {
      for (const needed of job.needs ?? [])
        expect(Object.keys(workflow.jobs), id).toContain(needed);
      expect(job.uses === undefined, id).toBe(job['runs-on'] !== undefined);
      for (const step of job.steps ?? [])
        expect(
          [step.uses, step.run].filter((text) => text !== undefined),
          id,
        ).toHaveLength(1);
      if (job.uses === undefined) continue;
      expect(job.uses).toMatch(/^\.\/\.github\/workflows\/[\w-]+\.yml$/);
      const called = parse(read(basename(job.uses))) as Workflow;
      const inputs = Object.keys(called.on['workflow_call']?.inputs ?? {});
      expect(Object.keys(job.with ?? {})).toEqual(inputs);
    }
  });

  test('uses actions by commit', () => {
    for (const { uses } of jobs.flatMap(([, { steps = [] }]) => steps))
      if (uses !== undefined && uses !== './tools/ci/setup-lkt')
        expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
  });

  test('sets up lkt before it runs lkt', () => {
    for (const { steps = [] } of jobs.map(([, job]) => job)) {
      const runs = steps.findIndex(({ run = '' }) => calls(run).length > 0);
      const setup = steps.findIndex(({ uses }) => uses === './tools/ci/setup-lkt');
      if (runs >= 0) expect(setup).toBeGreaterThanOrEqual(0);
      expect(setup).toBeLessThanOrEqual(runs);
    }
  });

  test('gives no token for writing to the repository to steps that run lkt', () => {
    for (const [id, { steps = [], permissions = {} }] of jobs) {
      if (permissions['contents'] !== 'write') continue;
      for (const { run = '', uses, env, with: inputs } of steps) {
        if (uses?.startsWith('actions/checkout@') === true)
          expect(inputs?.['persist-credentials'], id).toBe(false);
        if (JSON.stringify(env ?? {}).includes('github.token'))
          expect(run, id).not.toMatch(/\.\/lkt /);
      }
    }
  });

  test('names only existing values in expressions', () => {
    const text = read(name);
    for (const [, expression = ''] of text.matchAll(/\$\{\{(.*?)\}\}/gs)) {
      for (const [, job = '', output = ''] of expression.matchAll(
        /needs\.([\w-]+)\.outputs\.(\w+)/g,
      ))
        expect(Object.keys(workflow.jobs[job]?.outputs ?? {}), expression).toContain(output);
      for (const [, job = ''] of expression.matchAll(/needs\.([\w-]+)\.result/g))
        expect(Object.keys(workflow.jobs), expression).toContain(job);
      for (const [, input = ''] of expression.matchAll(/inputs\.(\w+)/g))
        expect(Object.keys(workflow.on['workflow_call']?.inputs ?? {})).toContain(input);
      expect(expression).not.toMatch(/\b(?:title|body|head_ref|head\.ref|message)\b/);
    }
  });

  test('lets signing jobs request an identity token', () => {
    for (const [id, { steps = [], permissions = {} }] of jobs) {
      const signs = steps.some(({ run = '' }) => run.includes('--sign'));
      if (signs) expect(permissions['id-token'], id).toBe('write');
    }
  });

  test('pushes nothing and writes no cache for a pull request', () => {
    for (const { run = '', if: condition = '' } of jobs.flatMap(([, { steps = [] }]) => steps)) {
      if (!/--cache-to|pkg push/.test(run)) continue;
      expect(condition).toBe("${{ github.event_name == 'push' }}");
    }
  });
});

test('has a workflow that changes nodes only from main, and gives no rights to forks', () => {
  const { jobs } = parse(read('github-fleet.yml')) as Workflow & {
    readonly jobs: Readonly<Record<string, { readonly if: string; readonly environment: string }>>;
  };
  const own = 'github.event.pull_request.head.repo.full_name == github.repository';
  const conditions = {
    plan: `\${{ github.event_name == 'pull_request' && ${own} }}`,
    apply: "${{ github.event_name == 'push' }}",
  };
  for (const [id, job] of Object.entries(jobs)) {
    const commands = (job.steps ?? []).flatMap(({ run = '' }) => calls(run));
    const fleet = commands.filter(([first]) => first === 'fleet').map(([, second]) => second);
    expect(fleet).toEqual([id]);
    expect(job.if).toBe(conditions[id as keyof typeof conditions]);
    // The rights of a plan are not those of a change.
    expect(job.environment).toBe(id === 'apply' ? 'fleet' : 'fleet-plan');
  }
  expect(Object.keys(jobs)).toEqual(['plan', 'apply']);
});

test('has an action that follows the schema of GitHub and passes inputs as environment', () => {
  const text = readFileSync(join(action, 'action.yml'), 'utf8');
  expect(problemsOf(parseAction, text)).toEqual([]);
  expect(problemsOf(parseAction, text.replace('using: composite', 'using: compsite'))).not.toEqual(
    [],
  );
  for (const script of scriptsOf(parse(text))) expect(script).not.toContain('${{');
});

test('has a GitLab component whose inputs are all used and declared', () => {
  const [head = '', body = ''] = read(component).split(/^---$/m);
  const { spec } = parse(head) as { readonly spec: { readonly inputs: object } };
  const used = [...body.matchAll(/\$\[\[ inputs\.([\w-]+) \]\]/g)].map(([, name = '']) => name);
  expect([...new Set(used)].toSorted()).toEqual(Object.keys(spec.inputs).toSorted());
  for (const script of scriptsOf(parse(body))) expect(script).not.toContain('$[[');
});

/** Pipelines of GitLab, with the jobs that run for a merge request and on the default branch. */
const PIPELINES: readonly {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly other?: OtherProject;
  readonly requested: readonly RegExp[];
  readonly merged: readonly RegExp[];
}[] = [
  {
    name: 'gitlab.yml',
    files: { '.gitlab-ci.yml': read('gitlab.yml') },
    requested: [/^try: \[linux\/amd64,/, /^try: \[linux\/arm64,/],
    merged: [/^release: \[linux\/amd64,/, /^release: \[linux\/arm64,/, /^join$/],
  },
  {
    name: 'the component',
    files: {
      '.gitlab-ci.yml': `stages: [one, two]
include: [{ component: ${COMPONENT}, inputs: { stage: one, verify-stage: two } }]
`,
      'templates/lkt.yml': read(component),
    },
    requested: [/^lkt-build$/],
    merged: [/^lkt-publish$/, /^lkt-verify$/],
  },
  {
    name: 'the component in another project',
    files: { 'templates/lkt.yml': read(component) },
    other: {
      project: 'acme/os',
      files: { '.gitlab-ci.yml': includeOf(readFileSync(join(dir, 'README.md'), 'utf8')) },
    },
    requested: [/^lkt-build$/],
    merged: [/^lkt-publish$/, /^lkt-verify$/],
  },
  {
    name: 'the pipeline of lkt init',
    files: { '.gitlab-ci.yml': newProject('gitlab', '.gitlab-ci.yml') },
    requested: [/^build$/],
    merged: [/^build$/],
  },
];

describe.each(PIPELINES)('$name', ({ files: given, other, requested, merged }) => {
  test("follows GitLab's schema, and signs and pushes only from the default branch", () => {
    const jobs = gitlabJobs(given, other);
    for (const [id, { script = [], id_tokens: tokens, rules }] of Object.entries(jobs)) {
      const text = script.join('\n');
      const token = { SIGSTORE_ID_TOKEN: { aud: 'sigstore' } };
      expect(tokens, id).toEqual(text.includes('--sign') ? token : undefined);
      if (!/--cache-to|pkg push/.test(text)) continue;
      expect(rules).toEqual([{ if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' }]);
    }
    expect(gitlabRuns(given, 'merge_request_event', other)).toEqual(matching(requested));
    expect(gitlabRuns(given, 'push', other)).toEqual(matching(merged));
  });
});

test("rejects a pipeline that GitLab's schema or the component rejects", () => {
  const text = read('gitlab.yml').replace('before_script:', 'befor_script:');
  expect(() => gitlabJobs({ '.gitlab-ci.yml': text })).toThrow(
    "'befor_script' property is not expected to be here",
  );
  const included = {
    '.gitlab-ci.yml': `include: [{ component: ${COMPONENT} }]\n`,
    'templates/lkt.yml': read(component).replace('inputs.image', 'inputs.imag'),
  };
  expect(() => gitlabJobs(included)).toThrow('imag');
});

test('has a workflow of lkt init that follows the schema of GitHub', () => {
  const text = newProject('github', '.github/workflows/lkt.yml');
  expect(problemsOf(parseWorkflow, text)).toEqual([]);
  for (const [, uses] of text.matchAll(/uses: (.*)$/gm))
    expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v/);
  // No build works before, as docs/builder.md says.
  const [, lifts = ''] = /sysctl --ignore --write (\S+)=0$/m.exec(text) ?? [];
  const setup = readFileSync(join(action, 'setup.sh'), 'utf8');
  expect(setup).toContain(`--write ${lifts}=0`);
  expect(text.indexOf(lifts)).toBeLessThan(text.indexOf('npm run build'));
});

test.each([
  ['github', '.github/workflows/lkt.yml'],
  ['gitlab', '.gitlab-ci.yml'],
] as const)('checks pins, builds and tests in CI of lkt init for %s', (ci, path) => {
  const text = newProject(ci, path);
  const commands = ['qemu-system-x86', 'npm ci', 'lkt pin --check', 'npm run build', 'npm test'];
  const places = commands.map((command) => text.indexOf(command));
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

/** Returns the include of the component that a document shows, of the project acme/lkt. */
function includeOf(document: string): string {
  const [, text = ''] = /^```yaml\n(include:\n {2}- component: [^`]*)```$/m.exec(document) ?? [];
  return text.replace('OWNER', 'acme');
}

/** Returns matchers of names, in order. */
function matching(names: readonly RegExp[]): readonly unknown[] {
  return names.map((name) => expect.stringMatching(name));
}

/** Returns a file that lkt init writes for a CI system. */
function newProject(ci: 'github' | 'gitlab', path: string): string {
  const written = projectFiles({
    name: 'os',
    org: 'acme',
    template: 'minimal',
    language: 'go',
    ci,
    source: 'npm:@lkt/packages',
    registry: undefined,
    registryKey: undefined,
    signingKey: undefined,
    identity: undefined,
    trustedRoot: undefined,
    keys: [],
    version: undefined,
  });
  return written.get(path) ?? '';
}

/** Returns the errors of a parser of GitHub about a file. */
function problemsOf(parser: typeof parseWorkflow | typeof parseAction, text: string): string[] {
  const { context } = parser({ name: 'file.yml', content: text }, new NoOperationTraceWriter());
  return context.errors.getErrors().map(({ message }) => message);
}

/** Returns all scripts of a workflow. */
function scriptsOf(value: unknown, key = ''): readonly string[] {
  if (typeof value === 'string')
    return ['run', 'script', 'before_script'].includes(key) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item) => scriptsOf(item, key));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => scriptsOf(item, name));
}
