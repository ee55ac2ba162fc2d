import { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import { describe, expect, test } from 'vitest';
import { evaluate, type EvaluateOptions } from '../src/evaluate/evaluate.ts';
import { parseDockerfile } from '../src/parse/parse.ts';
import type { BuildPlan, CopyStep, RunStep, StagePlan } from '../src/evaluate/steps.ts';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Options extends Partial<Omit<EvaluateOptions, 'buildArgs'>> {
  readonly args?: Readonly<Record<string, string>>;
  readonly base?: ContainerConfig;
}

function build(text: string, { args = {}, base, ...options }: Options = {}): BuildPlan {
  return evaluate(parseDockerfile({ path: 'Dockerfile', text }), {
    buildArgs: new Map(Object.entries(args)),
    platform: { os: 'linux', architecture: 'amd64' },
    imageConfig: () => base,
    ...options,
  });
}

function last(text: string, options?: Options): StagePlan {
  const stage = build(text, options).stages.at(-1);
  if (stage === undefined) throw new Error('no stage');
  return stage;
}

function run(text: string, options?: Options): RunStep {
  const step = last(text, options).steps.at(-1);
  if (step?.kind !== 'run') throw new Error('no RUN');
  return step;
}

function copy(text: string, options?: Options): CopyStep {
  const step = last(text, options).steps.at(-1);
  if (step?.kind !== 'copy' && step?.kind !== 'add') throw new Error('no COPY');
  return step;
}

function catchError(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

const env = (text: string, options?: Options): readonly string[] =>
  run(`${text}\nRUN x`, options).env.filter((variable) => variable !== PATH);

describe('variables', () => {
  const cases: readonly (readonly [string, Options, readonly string[]])[] = [
    ['FROM scratch\nARG a', {}, []],
    ['FROM scratch\nARG a=1', {}, ['a=1']],
    ['FROM scratch\nARG a=1', { args: { a: '2' } }, ['a=2']],
    ['FROM scratch\nARG a', { args: { a: '' } }, ['a=']],
    ['FROM scratch\nRUN x', { args: { a: '2' } }, []],
    ['ARG a=1\nFROM scratch', {}, []],
    ['ARG a=1\nFROM scratch\nARG a', {}, ['a=1']],
    ['ARG a=1\nFROM scratch\nARG a=2', {}, ['a=2']],
    ['ARG a=1\nFROM scratch\nARG a=2', { args: { a: '3' } }, ['a=3']],
    ['ARG a=1\nARG b=$a$TARGETARCH\nFROM scratch\nARG b', {}, ['b=1amd64']],
    ['FROM scratch\nARG a=1\nARG a', {}, ['a=1']],
    ['FROM scratch\nARG a=1\nARG a=2', {}, ['a=2']],
    ['FROM scratch\nARG a=1\nENV a=2', {}, ['a=2']],
    ['FROM scratch\nENV a=2\nARG a=1', { args: { a: '3' } }, ['a=3']],
    ['FROM scratch AS x\nENV a=2\nARG a=1\nFROM x', {}, ['a=2']],
    ['FROM scratch\nARG a=1\nENV b=$a', {}, ['a=1', 'b=1']],
    ['FROM scratch\nENV a=1\nENV a=2 b=$a', {}, ['a=2', 'b=1']],
    ['FROM scratch\nENV a b  $c "d"', {}, ['a=b   d']],
    ['FROM scratch\nENV a=b\\ c "d e"=f', {}, ['a=b c', 'd e=f']],
    ['FROM scratch\nARG n=x\nENV $n=1', {}, ['n=x', 'x=1']],
    [
      'FROM scratch\nARG TARGETARCH\nARG BUILDPLATFORM\nARG TARGETVARIANT',
      {},
      ['BUILDPLATFORM=linux/amd64', 'TARGETARCH=amd64', 'TARGETVARIANT='],
    ],
    [
      'FROM scratch\nARG TARGETPLATFORM\nARG BUILDARCH',
      {
        platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
        buildPlatform: { os: 'linux', architecture: 'arm64' },
      },
      ['BUILDARCH=arm64', 'TARGETPLATFORM=linux/arm/v7'],
    ],
    // From another stage.
    ['FROM scratch AS a\nARG x=1\nENV y=2\nFROM a', {}, ['x=1', 'y=2']],
    ['FROM scratch AS a\nARG x=1\nFROM scratch\nARG x', {}, []],
    // From the base image.
    ['FROM b', { base: { Env: ['y=1'] } }, ['y=1']],
    ['FROM b\nARG y=2', { base: { Env: ['y=1'] } }, ['y=2']],
    ['FROM b\nENV y=$y:2', { base: { Env: ['y=1'] } }, ['y=1:2']],
  ];

  test.each(cases)('%j with %j', (text, options, expected) => {
    expect(env(text, options)).toEqual(expected);
  });

  test('takes PATH from the base, else the default', () => {
    expect(run('FROM b\nRUN x', { base: { Env: ['PATH=/x'] } }).env).toEqual(['PATH=/x']);
    expect(run('FROM b\nRUN x').env).toEqual([PATH]);
    expect(run('FROM scratch\nENV PATH=/y:$PATH\nRUN x').env).toEqual([`PATH=/y:${PATH.slice(5)}`]);
  });

  test('passes proxy build arguments to RUN without an ARG', () => {
    const args = { HTTP_PROXY: 'http://p', no_proxy: 'x', other: '1' };
    expect(run('FROM scratch\nRUN x', { args })).toMatchObject({
      env: [PATH],
      proxyEnv: ['HTTP_PROXY=http://p', 'no_proxy=x'],
    });
    expect(run('FROM scratch\nARG HTTP_PROXY\nRUN x', { args })).toMatchObject({
      env: ['HTTP_PROXY=http://p', PATH],
      proxyEnv: ['no_proxy=x'],
    });
  });

  test('expansion by instruction', () => {
    const stage = last(
      `FROM scratch
ENV v=x
WORKDIR /$v
USER $v:1
LABEL $v="$v y"
ENV p="53/udp 8000-8001"
EXPOSE $p
VOLUME /$v
STOPSIGNAL SIG\${v/x/TERM}
CMD ["$v"]
ENTRYPOINT $v
HEALTHCHECK CMD $v
SHELL ["$v"]
RUN $v`,
    );
    expect(stage.config).toEqual({
      Env: [PATH, 'v=x', 'p=53/udp 8000-8001'],
      WorkingDir: '/x',
      User: 'x:1',
      Labels: { x: 'x y' },
      ExposedPorts: { '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} },
      Volumes: { '/x': {} },
      StopSignal: 'SIGTERM',
      Cmd: ['$v'],
      Entrypoint: ['/bin/sh', '-c', '$v'],
      Healthcheck: { Test: ['CMD-SHELL', '$v'] },
      Shell: ['$v'],
    });
    expect(stage.steps.at(-1)).toMatchObject({ argv: ['$v', '$v'], workdir: '/x', user: 'x:1' });
  });
});

describe('image config', () => {
  const base: ContainerConfig = {
    Cmd: ['c'],
    Entrypoint: ['e'],
    Labels: { a: '1' },
    WorkingDir: '/w',
    User: 'u',
  };
  const cases: readonly (readonly [string, object])[] = [
    ['', base],
    ['CMD []', { ...base, Cmd: undefined }],
    ['CMD ["x"]', { ...base, Cmd: ['x'] }],
    ['CMD x "y"', { ...base, Cmd: ['/bin/sh', '-c', 'x "y"'] }],
    ['SHELL ["/s"]\nCMD x', { ...base, Cmd: ['/s', 'x'], Shell: ['/s'] }],
    ['ENTRYPOINT ["x"]', { ...base, Entrypoint: ['x'], Cmd: undefined }],
    ['ENTRYPOINT []', { ...base, Entrypoint: undefined, Cmd: undefined }],
    ['CMD ["x"]\nENTRYPOINT []', { ...base, Entrypoint: undefined, Cmd: ['x'] }],
    ['ENTRYPOINT []\nCMD ["x"]', { ...base, Entrypoint: undefined, Cmd: ['x'] }],
    ['LABEL a=2 b=3', { ...base, Labels: { a: '2', b: '3' } }],
    ['WORKDIR x/../y/', { ...base, WorkingDir: '/w/y' }],
    ['USER 0', { ...base, User: '0' }],
    ['HEALTHCHECK NONE', { ...base, Healthcheck: { Test: ['NONE'] } }],
    [
      'HEALTHCHECK --interval=1s --retries=2 CMD ["x"]',
      { ...base, Healthcheck: { Test: ['CMD', 'x'], Interval: 1e9, Retries: 2 } },
    ],
    ['ONBUILD RUN x', { ...base, OnBuild: ['RUN x'] }],
  ];

  test.each(cases)('%s', (text, expected) => {
    expect(JSON.parse(JSON.stringify(last(`FROM b\n${text}`, { base }).config))).toEqual(
      JSON.parse(JSON.stringify(expected)),
    );
  });

  test('continues from the config of its base stage', () => {
    const { config } = last(
      'FROM scratch AS a\nENV x=1\nWORKDIR /a\nCMD ["c"]\nUSER u\nFROM a\nENTRYPOINT ["e"]',
    );
    expect(config).toEqual({ Env: [PATH, 'x=1'], WorkingDir: '/a', User: 'u', Entrypoint: ['e'] });
  });

  test('inherits MAINTAINER as the author', () => {
    expect(last('FROM scratch AS a\nMAINTAINER me\nFROM a').author).toBe('me');
  });
});

describe('# check=', () => {
  const text = 'FROM scratch\nENV a=$none\nRUN x \\\n\n  y\n';
  const warned = (check: string): readonly (string | undefined)[] =>
    build(`# check=${check}\n${text}`).warnings.map(({ rule }) => rule);

  test.each([
    ['skip=UndefinedVar', ['NoEmptyContinuation']],
    ['skip=UndefinedVar, NoEmptyContinuation', []],
    ['skip=undefinedvar', ['NoEmptyContinuation', 'UndefinedVar', undefined]],
    ['skip=all;error=true', []],
    ['error=false', ['NoEmptyContinuation', 'UndefinedVar']],
    ['experimental=all;skip=Other', ['NoEmptyContinuation', 'UndefinedVar', undefined]],
  ])('%s', (check, rules) => {
    expect(warned(check)).toEqual(rules);
  });

  test.each([
    ['skip=NoEmptyContinuation;error=true', 'Dockerfile:3:7: the variable none is not set'],
    ['error=maybe', 'Dockerfile:1:9: "maybe" is not a valid value for error'],
    ['skip', 'Dockerfile:1:9: invalid directive "check": skip'],
    ['skip=a;skip=b', 'Dockerfile:1:9: invalid directive "check": skip=b'],
  ])('rejects %s', (check, message) => {
    const error = catchError(() => warned(check));
    expect(error).toMatchObject({ code: 'DOCKERFILE_INVALID' });
    expect((error as Error).message).toContain(message);
  });
});

describe('ONBUILD triggers of the base', () => {
  test('run right after FROM and are not inherited further', () => {
    const base = {
      OnBuild: ['ENV a=1 b=$c', 'RUN x', 'WORKDIR /w', 'CMD ["t"]', 'ARG g'],
      Env: ['c=2'],
    };
    const stage = last('ARG g=3\nFROM b\nENV a=4\nRUN y\nENTRYPOINT ["e"]', { base });
    expect(stage.steps.map(({ title }) => title)).toEqual([
      'ONBUILD RUN x',
      'ONBUILD WORKDIR /w',
      'RUN y',
    ]);
    expect(stage.steps[0]).toMatchObject({ env: [PATH, 'a=1', 'b=2', 'c=2'] });
    expect(stage.steps[2]).toMatchObject({ workdir: '/w' });
    expect((stage.steps[2] as RunStep).env).toEqual(
      expect.arrayContaining(['a=4', 'g=3']) as string[],
    );
    expect(stage.config).toMatchObject({ Cmd: ['t'], Entrypoint: ['e'] });
    expect(stage.config).not.toHaveProperty('OnBuild');
  });

  test('run only in stages directly FROM the stage that declares them', () => {
    const { stages } = build('FROM b AS a\nONBUILD RUN y\nFROM a AS c\nFROM c\nRUN z', {
      base: { OnBuild: ['RUN x'] },
    });
    expect(stages.map(({ steps }) => steps.map(({ title }) => title))).toEqual([
      ['ONBUILD RUN x'],
      ['ONBUILD RUN y'],
      ['RUN z'],
    ]);
  });

  test('include their here-documents', () => {
    const text = 'FROM b AS a\nONBUILD RUN <<E\n  one\nE\nONBUILD COPY <<-E /x\n\ttwo\n\tE\n';
    expect(last(text).config.OnBuild).toEqual(['RUN <<E\n  one\nE', 'COPY <<-E /x\n\ttwo\nE']);
    const { steps } = last(`${text}FROM a`);
    expect(steps[0]).toMatchObject({ argv: ['/bin/sh', '-c', '  one\n'] });
    expect(steps[1]).toMatchObject({ files: [{ name: 'E', content: 'two\n' }] });
  });

  test('add the stages they copy from to the plan', () => {
    const { stages } = build('FROM scratch AS tools\nFROM scratch AS unused\nFROM b', {
      base: { OnBuild: ['COPY --from=tools /a /b'] },
    });
    expect(stages.map(({ name }) => name)).toEqual(['tools', undefined]);
    expect(stages[1]).toMatchObject({ needs: [0] });
  });

  test.each([
    ['RUN', 'RUN requires a command'],
    ['NOTHING x', 'unknown instruction: NOTHING'],
    ['FROM c', 'FROM cannot be a trigger'],
    ['ONBUILD RUN x', 'ONBUILD cannot be a trigger'],
    ['MAINTAINER x', 'MAINTAINER cannot be a trigger'],
    ['RUN x\nRUN y', 'expected exactly one instruction'],
    ['# nothing', 'the Dockerfile has no instructions'],
    ['COPY --from=5 a b', 'there is no stage 5'],
  ])('report an error in %s at the FROM', (trigger, why) => {
    const base = { OnBuild: ['RUN fine', trigger] };
    const error: unknown = catchError(() => last('# x\nFROM  b AS c\nRUN z', { base }));
    expect(error).toMatchObject({
      code: 'DOCKERFILE_INVALID',
      message: expect.stringMatching(/^Dockerfile:2:7: /) as string,
      detail: '  2 | FROM  b AS c\n    |       ^',
    });
    expect((error as Error).message).toContain(why);
  });

  test('are named in errors of their variables', () => {
    const error = catchError(() => last('FROM b', { base: { OnBuild: ['WORKDIR $none'] } }));
    expect((error as Error).message).toBe(
      'Dockerfile:1:6: WORKDIR is empty after expanding $none (in ONBUILD WORKDIR $none, a trigger of the base image)',
    );
  });
});

describe('RUN', () => {
  test('supports the exec and the shell form', () => {
    expect(run('FROM b\nRUN a b').argv).toEqual(['/bin/sh', '-c', 'a b']);
    expect(run('FROM b\nRUN ["a", "b"]').argv).toEqual(['a', 'b']);
    expect(run('FROM b\nSHELL ["/bin/bash", "-ec"]\nRUN a').argv).toEqual([
      '/bin/bash',
      '-ec',
      'a',
    ]);
    expect(run('FROM b\nRUN a', { base: { Shell: ['/s'] } }).argv).toEqual(['/s', 'a']);
  });

  test('runs a here-document as a script', () => {
    expect(run('FROM b\nRUN <<E\na $b\nc\nE')).toMatchObject({
      argv: ['/bin/sh', '-c', 'a $b\nc\n'],
      files: [],
    });
    expect(run('FROM b\nRUN <<-E\n\ta\nE')).toMatchObject({ argv: ['/bin/sh', '-c', 'a\n'] });
    expect(run("FROM b\nRUN <<A cat >x && <<'B' cat\n1\nA\n2\nB").argv).toEqual([
      '/bin/sh',
      '-c',
      "<<A cat >x && <<'B' cat\n1\nA\n2\nB",
    ]);
    expect(run('FROM b\nRUN <<E\n#!/usr/bin/python\nx\nE')).toMatchObject({
      argv: ['/bin/sh', '-c', '/dev/pipes/E'],
      files: [{ path: '/dev/pipes/E', content: '#!/usr/bin/python\nx\n', mode: 0o755 }],
    });
  });

  test('fills in the defaults of mounts', () => {
    const text = `FROM b AS one
FROM b
ARG d=/cache
WORKDIR /w
RUN --mount=target=src --mount=type=cache,target=$d,from=one,source=x,mode=0700,uid=1 \\
  --mount=type=tmpfs,target=/t,size=2m --mount=type=secret,id=s --mount=type=secret,id=t,env=T \\
  --mount=type=ssh,required --mount=from=busybox,target=/bb,source=bin,rw x`;
    expect(run(text).mounts).toMatchObject([
      { type: 'bind', from: { kind: 'context' }, source: '/', target: '/w/src', readOnly: true },
      {
        type: 'cache',
        from: { kind: 'stage', index: 0 },
        source: '/x',
        target: '/cache',
        id: '/cache',
        mode: 0o700,
        uid: 1,
        readOnly: false,
      },
      { type: 'tmpfs', target: '/t', size: 2 * 2 ** 20 },
      { type: 'secret', id: 's', target: '/run/secrets/s', required: false },
      { type: 'secret', id: 't', target: undefined, env: 'T' },
      { type: 'ssh', id: 'default', target: '/run/buildkit/ssh_agent.0', required: true },
      {
        type: 'bind',
        from: { kind: 'image', text: 'busybox' },
        source: '/bin',
        target: '/bb',
        readOnly: false,
      },
    ]);
    expect(last(text).needs).toEqual([0]);
  });

  test('expands the options of a mount', () => {
    const text =
      'FROM b\nARG t=cache s=locked r=true p=/x\nRUN --mount=type=$t,sharing=$s,ro=$r,target=$p y';
    expect(run(text).mounts).toMatchObject([
      { type: 'cache', sharing: 'locked', readOnly: true, target: '/x', id: '/x' },
    ]);
    expect(() => run(text, { args: { t: 'tmpfs' } })).toThrow(
      'Dockerfile:3:5: --mount=type=tmpfs has no option "sharing"',
    );
  });
});

const from = (name: string): unknown =>
  copy(`FROM scratch AS One\nFROM scratch AS two\nFROM scratch\nCOPY --from=${name} ../a /`).from;

describe('COPY', () => {
  test('expands sources, destination and flags', () => {
    const step = copy(
      `FROM scratch
ARG v=x o=1:2 m=750
WORKDIR /w
COPY --chown=$o --chmod=$m --exclude=*.$v $v ./a/../$v/* "q" d/`,
    );
    expect(step).toMatchObject({
      kind: 'copy',
      from: { kind: 'context' },
      sources: [{ text: 'x' }, { text: 'x/*' }, { text: 'q' }],
      destination: '/w/d',
      destinationIsDirectory: true,
      chown: '1:2',
      chmod: 0o750,
      exclude: ['*.x'],
    });
  });

  const destinations: readonly (readonly [string, string, boolean])[] = [
    ['/a', '/a', false],
    ['/a/', '/a', true],
    ['a', '/w/a', false],
    ['.', '/w', true],
    ['./', '/w', true],
    ['..', '/', false],
    ['../', '/', true],
    ['/', '/', true],
    ['//a//b/', '/a/b', true],
    ['/../a/.', '/a', true],
  ];

  test.each(destinations)('destination %s', (written, destination, destinationIsDirectory) => {
    expect(copy(`FROM scratch\nWORKDIR /w\nCOPY x ${written}`)).toMatchObject({
      destination,
      destinationIsDirectory,
    });
  });

  test('copies from stages and images', () => {
    expect(from('one')).toEqual({ kind: 'stage', index: 0 });
    expect(from('ONE')).toEqual({ kind: 'stage', index: 0 });
    expect(from('1')).toEqual({ kind: 'stage', index: 1 });
    expect(from('scratch')).toEqual({ kind: 'scratch' });
    expect(from('alpine:3')).toMatchObject({
      kind: 'image',
      text: 'alpine:3',
      platform: 'linux/amd64',
    });
  });

  test('expands here-documents', () => {
    const step = copy(
      "FROM scratch\nARG v=x\nCOPY <<A <<'B' <<-C /d/\n\"$v\" \\$v it's\nA\n$v\nB\n\t$v\n\tC",
    );
    expect(step.files).toEqual([
      { name: 'A', content: '"x" $v it\'s\n' },
      { name: 'B', content: '$v\n' },
      { name: 'C', content: 'x\n' },
    ]);
  });

  test('combines here-documents with files of a stage', () => {
    const step = copy('FROM scratch AS a\nFROM scratch\nCOPY --from=a f <<A /d/\n1\nA');
    expect(step.from).toMatchObject({ kind: 'stage', index: 0 });
    expect(step.files).toEqual([{ name: 'A', content: '1\n' }]);
  });

  test('distinguishes URLs, git repositories and paths', () => {
    const step = copy(
      `FROM scratch
ADD https://x/y.tar git@github.com:a/b https://x/y.git#v1 local.git /d/`,
    );
    expect(step.sources.map(({ kind }) => kind)).toEqual(['http', 'git', 'git', 'path']);
  });
});

const order = (text: string, options?: Options): readonly number[] =>
  build(text, options).stages.map(({ index }) => index);

describe('stages', () => {
  test('builds only what the target needs, dependencies first', () => {
    const text = `FROM scratch AS a
FROM scratch AS unused
FROM a AS b
FROM scratch AS c
COPY --from=b / /
FROM c`;
    expect(order(text)).toEqual([0, 2, 3, 4]);
    expect(order(text, { target: 'B' })).toEqual([0, 2]);
    expect(order(text, { target: '1' })).toEqual([1]);
    expect(build(text, { target: 'b' }).target).toBe(2);
  });

  test('builds a shared dependency once', () => {
    const text = `FROM scratch AS a
FROM a AS b
FROM a AS c
FROM b
COPY --from=c x /`;
    expect(order(text)).toEqual([0, 1, 2, 3]);
  });

  test('resolves a stage name with a variable', () => {
    const text =
      'FROM scratch AS build-amd64\nFROM scratch AS build-arm64\nFROM build-${TARGETARCH}';
    expect(order(text)).toEqual([0, 2]);
    expect(order(text, { platform: { os: 'linux', architecture: 'arm64' } })).toEqual([1, 2]);
  });

  test('copies from a later stage', () => {
    expect(
      order('FROM scratch AS a\nCOPY --from=b x /\nFROM scratch AS b', { target: 'a' }),
    ).toEqual([1, 0]);
  });

  test('resolves a repeated name to the last earlier stage', () => {
    const text = 'FROM one AS a\nFROM two AS a\nFROM a AS a\nFROM scratch\nCOPY --from=a / /';
    expect(order(text)).toEqual([1, 2, 3]);
  });

  test('prefers a stage to an image of the same name', () => {
    expect(last('FROM alpine AS alpine\nFROM alpine').base).toEqual({ kind: 'stage', index: 0 });
    expect(build('FROM alpine AS alpine\nFROM x').stages[0]?.base).toMatchObject({ text: 'x' });
  });

  test('inherits the platform of the base stage', () => {
    const text = 'FROM --platform=$BUILDPLATFORM x AS a\nFROM a\nRUN y';
    const options: Options = {
      platform: { os: 'linux', architecture: 'arm64' },
      buildPlatform: { os: 'linux', architecture: 'amd64' },
    };
    const [a, b] = build(text, options).stages;
    expect(a).toMatchObject({ platform: 'linux/amd64', base: { platform: 'linux/amd64' } });
    expect(b).toMatchObject({ platform: 'linux/amd64' });
    expect(last('FROM x', options)).toMatchObject({ platform: 'linux/arm64' });
  });
});

describe('rejected Dockerfiles', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['ARG v\nFROM $v', '2:6: the image of FROM is empty after expanding $v'],
    ['FROM ${v', '1:6: bad substitution: ${v has no closing }'],
    ['FROM a\nENV x=y z=a${v:=b}', '2:12: bad substitution: unknown modifier in ${v:='],
    ['FROM a\nENV x="y', '2:7: unclosed "'],
    ['FROM a\nENV x="${v:?give me one}"', '2:8: v: give me one'],
    ['FROM a\nENV x= $x=1', '2:8: "" is not a valid variable name'],
    ['FROM --platform=linux a', '1:17: "linux" is not a platform'],
    [
      'FROM a\nCOPY a b c',
      '2:10: COPY with more than one source needs a directory as its destination',
    ],
    ['FROM a\nCOPY $v /', '2:6: a source of COPY is empty after expanding $v'],
    ['FROM a\nCOPY ../x /', '2:6: ../x is outside of the build context'],
    ['FROM a\nCOPY a/../../x /', '2:6: a/../../x is outside of the build context'],
    ['FROM a\nCOPY --chmod=999 x /', '2:6: "999" is not a file mode'],
    ['FROM a\nADD --checksum=md5:1 x /', '2:5: "md5:1" is not a sha256 checksum'],
    ['FROM a\nCOPY <<../x /\n../x', '2:6: "../x" is not a valid file name'],
    ['FROM a\nCOPY --from=7 x /', '2:13: there is no stage 7'],
    ['FROM a\nCOPY --from=0 x /', '2:13: the stage "0" cannot copy from itself'],
    [
      'FROM a AS a\nCOPY --from=b x /\nFROM a AS b\nCOPY --from=a x /',
      '2:13: the stages 1, 0 depend on each other',
    ],
    ['FROM a\nWORKDIR $v', '2:9: WORKDIR is empty after expanding $v'],
    ['FROM a\nEXPOSE x', '2:8: "x" is not a port'],
    ['FROM a\nEXPOSE 70000', '2:8: "70000" is not a port'],
    ['FROM a\nEXPOSE 9-8', '2:8: "9-8" is not a port'],
    ['FROM a\nSTOPSIGNAL ?', '2:12: "?" is not a signal'],
    ['FROM a\nRUN ["a\\u0000"]', '2:1: a RUN argument contains a NUL byte'],
    ['FROM a\nRUN <<../E\n#!/bin/sh\n../E', '2:5: "../E" is not a valid file name'],
    ['FROM a\nRUN --mount=type=cache,target=/ x', '2:5: a mount cannot replace the root directory'],
    [
      'FROM a\nRUN --mount=type=cache,target=/x,mode=9 y',
      '2:5: "9" is not a valid value for the --mount option mode',
    ],
    ['FROM a\nRUN --mount=type=tmpfs,target=/x,size=much y', '2:5: "much" is not a size'],
  ];

  test.each(cases)('%j', (text, message) => {
    const evaluated = (): unknown => build(text);
    expect(evaluated).toThrow(LktError);
    expect(evaluated).toThrow(`Dockerfile:${message}`);
  });
});

test('rejects an unknown target', () => {
  expect(() => build('FROM a AS one\nFROM b', { target: 'x' })).toThrow(
    expect.objectContaining({
      message: 'Dockerfile: there is no stage "x" to build',
      fix: 'use one of: one',
    }),
  );
});

test('warns about unset variables and unused build arguments', () => {
  const { warnings } = build('FROM b\nENV a=$x:${y:-1}\nCOPY $z.c /\nARG used', {
    args: { used: '1', typo: '2', TARGETARCH: 'x' },
  });
  expect(warnings).toEqual([
    {
      position: { line: 2, column: 7 },
      text: 'the variable x is not set and expands to nothing',
      rule: 'UndefinedVar',
    },
    {
      position: { line: 3, column: 6 },
      text: 'the variable z is not set and expands to nothing',
      rule: 'UndefinedVar',
    },
    { position: { line: 1, column: 1 }, text: 'no ARG declares the build argument typo' },
  ]);
});

test('accepts names of JavaScript object properties', () => {
  const stage = last(
    'FROM scratch\nARG __proto__=1\nENV constructor=2 toString=3\nLABEL __proto__=4 hasOwnProperty=5\nVOLUME __proto__\nRUN x',
  );
  expect((stage.steps[0] as RunStep).env).toEqual([
    PATH,
    '__proto__=1',
    'constructor=2',
    'toString=3',
  ]);
  expect(Object.entries(stage.config.Labels ?? {})).toEqual([
    ['__proto__', '4'],
    ['hasOwnProperty', '5'],
  ]);
  expect(Object.keys(stage.config.Volumes ?? {})).toEqual(['__proto__']);
});
