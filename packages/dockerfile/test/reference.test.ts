import { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../src/evaluate/evaluate.ts';
import { parseDockerfile } from '../src/parse/parse.ts';

// The whole Dockerfile reference: a row for each statement, under its own headings. The files that
// COPY creates are tested in packages/builder/test/reference.integration.test.ts.

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const SHELL = ['/bin/sh', '-c'];

interface Given {
  readonly args?: Readonly<Record<string, string>>;
  /** The config of every base image. */
  readonly base?: ContainerConfig;
  readonly target?: string;
}

/** The expected result: config and steps of the last stage, rules of warnings, or the error. */
interface Outcome {
  readonly config?: object;
  readonly steps?: readonly object[];
  readonly stages?: readonly object[];
  readonly author?: string;
  readonly rules?: readonly (string | undefined)[];
  readonly error?: string;
}

function outcome(text: string, { args = {}, base, target }: Given): Outcome {
  try {
    const { stages, warnings } = evaluate(parseDockerfile({ path: 'Dockerfile', text }), {
      buildArgs: new Map(Object.entries(args)),
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
      buildPlatform: { os: 'linux', architecture: 'amd64' },
      imageConfig: () => base,
      target,
    });
    const last = stages.at(-1);
    return {
      stages,
      config: last?.config ?? {},
      steps: last?.steps ?? [],
      rules: warnings.map(({ rule }) => rule),
      author: last?.author === undefined ? undefined : last.author,
    };
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return { error: error.message };
  }
}

type Row = readonly [text: string, expected: Outcome, given?: Given];

function rows(title: string, cases: readonly Row[]): void {
  describe(title, () => {
    const named = cases.map(([text, expected, given = {}]) => ({ text, expected, given }));
    test.each(named)('$text', ({ text, expected, given }) => {
      expect(outcome(text, given)).toMatchObject(expected);
    });
  });
}

const shell = (script: string): object => ({ kind: 'run', argv: [...SHELL, script] });
const at = (position: string, message: string): Outcome => ({
  error: `Dockerfile:${position}: ${message}`,
});

rows('Format', [
  ['from b\nrun x', { steps: [shell('x')] }],
  ['# first\n\nARG a\nFROM b', { steps: [] }],
  ["FROM b\nRUN echo 'some # of'", { steps: [shell("echo 'some # of'")] }],
  ['FROM b\nRUN echo hello \\\n# comment\nworld', { steps: [shell('echo hello world')] }],
  ['FROM b\n# comment \\\nRUN x', { steps: [shell('x')] }],
  ['   # indented\n  FROM b\n\tRUN x', { steps: [shell('x')] }],
  ['FROM b\nRUN echo "\\\n   a\\\n   b"', { steps: [shell('echo "   a   b"')] }],
  ['RUN x\nFROM b', at('1:1', 'RUN comes before the first FROM')],
]);

rows('Parser directives', [
  ['# escape=`\nFROM b\nCOPY x c:\\\nRUN y `\n  z', { steps: [{}, shell('y   z')] }],
  ['# Escape = `\nFROM b\nRUN y `\n z', { steps: [shell('y  z')] }],
  ['#escape=`\n# syntax=any/thing:1\nFROM b\nRUN y `\n z', { steps: [shell('y  z')] }],
  ['# escape=`\n# escape=`\nFROM b', at('2:1', 'the directive "escape" is given twice')],
  ['FROM b\n# escape=`\nRUN y \\\n z', { steps: [shell('y  z')] }],
  ['# about\n# escape=`\nFROM b\nRUN y \\\n z', { steps: [shell('y  z')] }],
  ['# unknown=1\n# escape=`\nFROM b\nRUN y \\\n z', { steps: [shell('y  z')] }],
  ['# esc\\\nape=`\nFROM b', at('2:1', 'unknown instruction: ape=`')],
  ['# check=skip=JSONArgsRecommended\nFROM b\nCMD x', { rules: [] }],
  ['# check=skip=all\nFROM b AS X\nCMD x', { rules: [] }],
  [
    '# check=skip=jsonargsrecommended\nFROM b\nCMD x',
    { rules: ['JSONArgsRecommended', undefined] },
  ],
  [
    '# check=error=true\nFROM b\nCMD x',
    at(
      '3:1',
      'a program started by a shell receives no signals; write CMD ["program", "argument"] (an error because of check=error=true)',
    ),
  ],
  ['# check=skip=JSONArgsRecommended;error=true\nFROM b\nCMD x', { rules: [] }],
]);

const V = { v: 'foobarbaz', e: '' };
const word = (text: string): string => `FROM b\nENV v=foobarbaz e=\nENV r=${text}`;
const value = (text: string): Outcome => ({
  config: { Env: ['v=foobarbaz', 'e=', `r=${text}`] },
});
rows('Environment replacement', [
  [word('$v'), value('foobarbaz')],
  [word('${v}_x'), value('foobarbaz_x')],
  [word('${n:-word}${e:-word}${v:-word}'), value(`wordword${V.v}`)],
  [word('${n-word}${e-word}'), value('word')],
  [word('${n:+word}${e:+word}${v:+word}'), value('word')],
  [word('${n+word}${e+word}'), value('word')],
  [word('${n:-${v}}'), value('foobarbaz')],
  [word('${n:?none}'), at('3:7', 'n: none')],
  [word('${v#f*b}'), value('arbaz')],
  [word('${v##f*b}'), value('az')],
  [word('${v%b*}'), value('foobar')],
  [word('${v%%b*}'), value('foo')],
  [word('${v/ba/fo}'), value('fooforbaz')],
  [word('${v//ba/fo}'), value('fooforfoz')],
  [word('${v#?}'), value('oobarbaz')],
  ['FROM b\nENV s=a*b\nENV r=${s%\\**}', { config: { Env: ['s=a*b', 'r=a'] } }],
  [word('\\$v\\${v}'), value('$v${v}')],
  [word("'$v'"), value('$v')],
  ['FROM b\nENV FOO=/bar\nWORKDIR ${FOO}', { config: { WorkingDir: '/bar' } }],
  ['FROM b\nENV FOO=/bar\nADD . $FOO', { steps: [{ kind: 'add', destination: '/bar' }] }],
  ['FROM b\nCOPY \\$FOO /q', { steps: [{ sources: [{ text: '$FOO' }] }] }],
  ['FROM b\nENV p=80/udp\nEXPOSE $p', { config: { ExposedPorts: { '80/udp': {} } } }],
  ['ARG i=b\nFROM $i', { stages: [{ base: { kind: 'image', text: 'b' } }] }],
  ['FROM b\nENV l=x\nLABEL $l=$l', { config: { Labels: { x: 'x' } } }],
  ['FROM b\nENV s=KILL\nSTOPSIGNAL SIG$s', { config: { StopSignal: 'SIGKILL' } }],
  ['FROM b\nENV u=me\nUSER $u', { config: { User: 'me' } }],
  ['FROM b\nENV d=/v\nVOLUME $d', { config: { Volumes: { '/v': {} } } }],
  [
    'FROM b AS a\nENV w=/w\nONBUILD WORKDIR $w\nFROM a',
    { config: { WorkingDir: '/w' }, steps: [{ kind: 'workdir', path: '/w' }] },
  ],
  ['FROM b\nENV v=x\nRUN $v\nCMD $v\nENTRYPOINT ["$v"]', { steps: [shell('$v')] }],
  [
    'FROM b\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc',
    { config: { Env: ['abc=bye', 'def=hello', 'ghi=bye'] } },
  ],
]);

rows('Shell and exec form', [
  ['FROM b\nRUN ["a", "b c"]', { steps: [{ argv: ['a', 'b c'] }] }],
  ['FROM b\nRUN [ "echo", "$HOME" ]', { steps: [{ argv: ['echo', '$HOME'] }] }],
  ["FROM b\nCMD ['a']", { config: { Cmd: [...SHELL, "['a']"] } }],
  ['FROM b\nRUN ["c:\\windows"]', { steps: [shell('["c:\\windows"]')], rules: [undefined] }],
  ['FROM b\nRUN ["c:\\\\windows"]', { steps: [{ argv: ['c:\\windows'] }] }],
  ['FROM b\nRUN . $HOME/x && \\\necho y', { steps: [shell('. $HOME/x && echo y')] }],
  ['FROM b\nRUN <<EOF\n  a\n  b\nEOF', { steps: [shell('  a\n  b\n')] }],
  ['FROM b\nSHELL ["/bin/bash", "-c"]\nRUN a', { steps: [{ argv: ['/bin/bash', '-c', 'a'] }] }],
]);

const image = (text: string, platform = 'linux/arm/v7'): object => ({
  base: { kind: 'image', text, platform },
});
rows('FROM', [
  ['FROM i', { stages: [image('i')] }],
  ['FROM i:1', { stages: [image('i:1')] }],
  [`FROM i@sha256:${'a'.repeat(64)}`, { stages: [image(`i@sha256:${'a'.repeat(64)}`)] }],
  ['FROM scratch', { stages: [{ base: { kind: 'scratch' } }], config: { Env: [PATH] } }],
  ['FROM --platform=$BUILDPLATFORM i', { stages: [image('i', 'linux/amd64')] }],
  ['FROM --platform=windows/amd64 i', { stages: [image('i', 'windows/amd64')] }],
  ['FROM --platform=$nothing i', at('1:17', '"" is not a platform')],
  [
    'FROM i AS one\nRUN x\nFROM one\nCOPY --from=one /a /b\nRUN --mount=from=one,target=/m y',
    {
      stages: [{ name: 'one' }, { base: { kind: 'stage', index: 0 }, needs: [0] }],
    },
  ],
  ['FROM i AS a\nENV x=1\nFROM i\nRUN y', { config: {}, steps: [{ env: [PATH] }] }],
  ['ARG V=1\nFROM i:$V\nRUN x', { stages: [image('i:1')], steps: [{ env: [PATH] }] }],
  ['ARG V=1\nFROM i:$V', { stages: [image('i:2')] }, { args: { V: '2' } }],
  ['ARG V=1\nFROM i\nARG V\nRUN x', { steps: [{ env: [PATH, 'V=1'] }] }],
  ['FROM i:$V', { rules: ['UndefinedArgInFrom', 'InvalidDefaultArgInFrom'] }],
  ['FROM a AS x\nFROM b AS y', { stages: [{ name: 'x' }] }, { target: 'x' }],
]);

rows('RUN', [
  [
    'FROM b\nRUN --device=vendor.com/device=x,required y',
    {
      error:
        'Dockerfile:2:5: RUN --device=vendor.com/device=x,required is not supported: build commands have no access to devices',
    },
  ],
  ['FROM b\nRUN --network=default x', { steps: [{ network: 'default' }] }],
  ['FROM b\nRUN --network=none x', { steps: [{ network: 'none' }] }],
  ['FROM b\nRUN --network=host x', { steps: [{ network: 'host' }] }],
  ['FROM b\nRUN --security=sandbox x', { steps: [{ security: 'sandbox' }] }],
  ['FROM b\nRUN --security=insecure x', { steps: [{ security: 'insecure' }] }],
]);

const mount = (options: string, mounted: object): Row => [
  `FROM b AS s\nFROM b\nWORKDIR /w\nRUN --mount=${options} x`,
  { steps: [{}, { mounts: [mounted] }] },
];
rows('RUN --mount', [
  mount('target=/t', { type: 'bind', from: { kind: 'context' }, source: '/', readOnly: true }),
  mount('type=bind,dst=/t,source=d', { target: '/t', source: '/d' }),
  mount('destination=t', { target: '/w/t' }),
  mount('from=s,target=/t', { from: { kind: 'stage', index: 0 } }),
  mount('from=other:1,target=/t', { from: { kind: 'image', text: 'other:1' } }),
  mount('target=/t,rw', { readOnly: false }),
  mount('target=/t,readwrite', { readOnly: false }),
  mount('type=cache,target=/c', {
    type: 'cache',
    id: '/c',
    sharing: 'shared',
    readOnly: false,
    from: { kind: 'scratch' },
  }),
  mount('type=cache,target=/c,id=i,ro', { id: 'i', readOnly: true }),
  mount('type=cache,target=/c,sharing=locked', { sharing: 'locked' }),
  mount('type=cache,target=/c,sharing=private', { sharing: 'private' }),
  mount('type=cache,target=/c,from=s,source=d', { from: { kind: 'stage' }, source: '/d' }),
  mount('type=cache,target=/c,mode=0700,uid=1,gid=2', { mode: 0o700, uid: 1, gid: 2 }),
  mount('type=tmpfs,target=/t', { type: 'tmpfs', size: undefined }),
  mount('type=tmpfs,target=/t,size=64m', { size: 64 * 2 ** 20 }),
  mount('type=secret,id=i', { id: 'i', target: '/run/secrets/i', required: false }),
  mount('type=secret,target=/a/b', { id: 'b', target: '/a/b' }),
  mount('type=secret,id=i,env=E', { env: 'E', target: undefined }),
  mount('type=secret,id=i,env=E,target=/e', { env: 'E', target: '/e' }),
  mount('type=secret,id=i,required=true,mode=0440,uid=1,gid=2', {
    required: true,
    mode: 0o440,
    uid: 1,
    gid: 2,
  }),
  mount('type=ssh', { type: 'ssh', id: 'default', target: '/run/buildkit/ssh_agent.0' }),
  mount('type=ssh,id=i,target=/s,required,mode=0666,uid=1,gid=2', {
    id: 'i',
    target: '/s',
    required: true,
    mode: 0o666,
  }),
  ['FROM b\nRUN --mount=type=tmpfs x', at('2:5', 'a mount cannot replace the root directory')],
]);

rows('CMD', [
  ['FROM b\nCMD ["a", "b"]', { config: { Cmd: ['a', 'b'] } }],
  ['FROM b\nCMD a b', { config: { Cmd: [...SHELL, 'a b'] } }],
  [
    'FROM b\nCMD ["a"]\nCMD ["b"]',
    { config: { Cmd: ['b'] }, rules: ['MultipleInstructionsDisallowed'] },
  ],
]);

rows('LABEL', [
  ['FROM b\nLABEL "com.example"="A B"', { config: { Labels: { 'com.example': 'A B' } } }],
  ['FROM b\nLABEL d="one \\\ntwo"', { config: { Labels: { d: 'one two' } } }],
  ['FROM b\nLABEL a=1 b=2 \\\n c=3', { config: { Labels: { a: '1', b: '2', c: '3' } } }],
  ['FROM b\nENV v=x\nLABEL a=\'$v\' b="$v"', { config: { Labels: { a: '$v', b: 'x' } } }],
  [
    'FROM b\nLABEL a=2',
    { config: { Labels: { a: '2', z: '0' } } },
    { base: { Labels: { a: '1', z: '0' } } },
  ],
  ['FROM b AS x\nLABEL a=1\nFROM b\nCOPY --from=x /a /', { config: {} }],
  ['FROM b\nLABEL a b', { config: { Labels: { a: 'b' } }, rules: ['LegacyKeyValueFormat'] }],
  ['FROM b\nLABEL a', at('2:7', 'LABEL a has no value')],
]);

rows('MAINTAINER', [
  ['FROM b\nMAINTAINER A <a@b>', { author: 'A <a@b>', rules: ['MaintainerDeprecated'] }],
]);

rows('EXPOSE', [
  ['FROM b\nEXPOSE 80', { config: { ExposedPorts: { '80/tcp': {} } } }],
  ['FROM b\nEXPOSE 80/udp 80/tcp', { config: { ExposedPorts: { '80/udp': {}, '80/tcp': {} } } }],
  ['FROM b\nEXPOSE 80-81', { config: { ExposedPorts: { '80/tcp': {}, '81/tcp': {} } } }],
  [
    'FROM b\nEXPOSE 80/TCP',
    { config: { ExposedPorts: { '80/tcp': {} } }, rules: ['ExposeProtoCasing'] },
  ],
  [
    'FROM b\nEXPOSE 8080:80',
    { config: { ExposedPorts: { '80/tcp': {} } }, rules: ['ExposeInvalidFormat'] },
  ],
  [
    'FROM b\nEXPOSE [::1]:8080:80/udp',
    { config: { ExposedPorts: { '80/udp': {} } }, rules: ['ExposeInvalidFormat'] },
  ],
  ['FROM b\nEXPOSE http', at('2:8', '"http" is not a port')],
  ['FROM b\nEXPOSE 70000', at('2:8', '"70000" is not a port')],
]);

rows('ENV', [
  ['FROM b\nENV a="J D" b=R\\ D \\\n c=f', { config: { Env: ['a=J D', 'b=R D', 'c=f'] } }],
  ['FROM b\nENV a my value', { config: { Env: ['a=my value'] }, rules: ['LegacyKeyValueFormat'] }],
  ['FROM b\nENV ONE TWO= THREE=world', { config: { Env: ['ONE=TWO= THREE=world'] } }],
  ['FROM b AS x\nENV a=1\nFROM x\nRUN y', { steps: [{ env: [PATH, 'a=1'] }] }],
]);

const SUM = `sha256:${'0'.repeat(64)}`;
const COMMIT = '1'.repeat(40);
rows('ADD', [
  ['FROM b\nADD a.txt b.txt /d/', { steps: [{ sources: [{ text: 'a.txt' }, { text: 'b.txt' }] }] }],
  ['FROM b\nADD ["a b", "/c d"]', { steps: [{ sources: [{ text: 'a b' }], destination: '/c d' }] }],
  [
    'FROM b\nADD a b /d',
    at('2:9', 'ADD with more than one source needs a directory as its destination'),
  ],
  [
    `FROM b\nADD --checksum=${SUM} https://x/f /d/`,
    { steps: [{ sources: [{ kind: 'http' }], checksum: SUM, destinationIsDirectory: true }] },
  ],
  [`FROM b\nADD --checksum=md5:1 https://x/f /`, at('2:5', '"md5:1" is not a sha256 checksum')],
  [`FROM b\nADD https://x/r.git#${COMMIT} /`, { steps: [{ sources: [{ kind: 'git' }] }] }],
  [`FROM b\nADD git@x:a/b.git#${COMMIT}:docs /`, { steps: [{ sources: [{ kind: 'git' }] }] }],
  [`FROM b\nADD --checksum=${COMMIT} https://x/r.git#v1 /`, { steps: [{ checksum: COMMIT }] }],
  ['FROM b\nADD --checksum=abc https://x/r.git#v1 /', at('2:5', '"abc" is not a commit')],
  [
    `FROM b\nADD --keep-git-dir=true https://x/r.git#${COMMIT} /`,
    { steps: [{ keepGitDir: true }] },
  ],
  ['FROM b\nADD --unpack=false a.tar /', { steps: [{ unpack: false }] }],
  ['FROM b\nADD --unpack a.tar /', { steps: [{ unpack: true }] }],
  [
    'FROM b\nADD --chmod=755 --chown=1:2 --link --exclude=*.o a /',
    { steps: [{ chmod: 0o755, chown: '1:2', link: true, exclude: ['*.o'] }] },
  ],
  ['FROM b\nADD --from=x a /', at('2:5', 'unknown flag --from of ADD')],
]);

rows('COPY', [
  ['FROM b\nCOPY a /abs/', { steps: [{ destination: '/abs', destinationIsDirectory: true }] }],
  ['FROM b\nCOPY a /abs', { steps: [{ destinationIsDirectory: false }] }],
  ['FROM b\nWORKDIR /w\nCOPY a rel/', { steps: [{}, { destination: '/w/rel' }] }],
  ['FROM b\nCOPY /a/ /b', { steps: [{ sources: [{ text: 'a' }] }] }],
  ['FROM b\nCOPY ../a /b', at('2:6', '../a is outside of the build context')],
  ['FROM b AS s\nFROM b\nCOPY --from=s ../a /b', { steps: [{ sources: [{ text: 'a' }] }] }],
  ['FROM b\nCOPY --from=i:1 /a /b', { steps: [{ from: { kind: 'image', text: 'i:1' } }] }],
  ['FROM b\nFROM b\nCOPY --from=0 /a /b', { steps: [{ from: { kind: 'stage', index: 0 } }] }],
  ['FROM b AS s\nCOPY --from=s /a /b', at('2:13', 'the stage "s" cannot copy from itself')],
  ['FROM b\nARG i=x\nCOPY --from=$i /a /b', at('3:13', 'variables are not expanded in --from')],
  ['FROM b\nARG M=440\nCOPY --chmod=$M . .', { steps: [{ chmod: 0o440 }] }],
  ['FROM b\nCOPY --chmod=+x a /', { steps: [{ chmod: '+x' }] }],
  ['FROM b\nCOPY --chmod=u=rwX,go=rX a /', { steps: [{ chmod: 'u=rwX,go=rX' }] }],
  ['FROM b\nCOPY --chmod=g=u a /', { steps: [{ chmod: 'g=u' }] }],
  ['FROM b\nCOPY --chmod=999 a /', at('2:6', '"999" is not a file mode')],
  ['FROM b\nCOPY --chown=55:mygroup a /', { steps: [{ chown: '55:mygroup' }] }],
  ['FROM b\nCOPY --link a /', { steps: [{ link: true }] }],
  ['FROM b\nCOPY --link=false a /', { steps: [{ link: false }] }],
  [
    'FROM b\nCOPY --parents ./x/./y/* /p/',
    { steps: [{ parents: true, sources: [{ base: 'x' }] }] },
  ],
  [
    'FROM b\nCOPY --exclude=*.txt --exclude=*.md h* /m/',
    { steps: [{ exclude: ['*.txt', '*.md'] }] },
  ],
  [`FROM b\nCOPY --checksum=${SUM} a /`, at('2:6', 'unknown flag --checksum of COPY')],
  ['FROM b\nCOPY https://x/y /z', at('2:6', 'COPY does not accept URLs')],
]);

const both = (text: string, config: object): Row => [`FROM b\n${text}`, { config }];
rows('ENTRYPOINT', [
  both('ENTRYPOINT ["e", "p"]', { Entrypoint: ['e', 'p'] }),
  both('ENTRYPOINT e p', { Entrypoint: [...SHELL, 'e p'] }),
  both('ENTRYPOINT ["a"]\nENTRYPOINT ["b"]', { Entrypoint: ['b'] }),
  both('ENTRYPOINT ["e"]\nCMD ["c"]', { Entrypoint: ['e'], Cmd: ['c'] }),
  both('CMD c d\nENTRYPOINT ["e"]', { Entrypoint: ['e'], Cmd: [...SHELL, 'c d'] }),
  ['FROM b\nENTRYPOINT ["e"]', { config: { Entrypoint: ['e'] } }, { base: { Cmd: ['c'] } }],
]);
test('ENTRYPOINT resets the CMD of the base', () => {
  const { config } = outcome('FROM b\nENTRYPOINT ["e"]', { base: { Cmd: ['c'] } });
  expect(config).not.toHaveProperty('Cmd');
});

rows('VOLUME, USER, WORKDIR', [
  ['FROM b\nVOLUME ["/var/log", "/a b"]', { config: { Volumes: { '/var/log': {}, '/a b': {} } } }],
  ['FROM b\nVOLUME /a /b', { config: { Volumes: { '/a': {}, '/b': {} } } }],
  ['FROM b\nUSER me:you', { config: { User: 'me:you' } }],
  ['FROM b\nUSER 1:2\nRUN x', { steps: [{ user: '1:2' }] }],
  ['FROM b\nWORKDIR /a\nWORKDIR b\nWORKDIR c\nRUN pwd', { config: { WorkingDir: '/a/b/c' } }],
  ['FROM b\nENV D=/p\nWORKDIR $D/$NAME', { config: { WorkingDir: '/p' }, rules: ['UndefinedVar'] }],
  [
    'FROM b\nWORKDIR x',
    { config: { WorkingDir: '/w/x' }, rules: ['WorkdirRelativePath'] },
    { base: { WorkingDir: '/w' } },
  ],
  ['FROM b\nRUN x', { steps: [{ workdir: '/' }] }],
]);

const env = (...variables: readonly string[]): Outcome => ({
  steps: [{ env: [PATH, ...variables].toSorted() }],
});
rows('ARG', [
  ['FROM b\nARG a\nARG c=1\nRUN x', env('c=1')],
  ['FROM b\nARG a=1 c=2\nRUN x', env('a=1', 'c=2')],
  ['FROM b\nARG a=1\nRUN x', env('a=2'), { args: { a: '2' } }],
  [
    'FROM b\nUSER ${u:-some}\nARG u\nUSER $u',
    { config: { User: 'what' } },
    { args: { u: 'what' } },
  ],
  ['FROM b\nUSER ${u:-some}\nARG u', { config: { User: 'some' } }, { args: { u: 'what' } }],
  ['FROM b AS x\nARG a=1\nFROM x\nRUN y', env('a=1')],
  ['FROM b AS x\nARG a=1\nFROM b\nRUN y', env()],
  [
    'FROM b\nARG a\nENV a=v1\nRUN x',
    { config: { Env: ['a=v1'] }, ...env('a=v1') },
    { args: { a: 'v2' } },
  ],
  ['FROM b\nARG a\nENV a=${a:-v1}\nRUN x', { config: { Env: ['a=v2'] } }, { args: { a: 'v2' } }],
  ['FROM b\nARG a\nENV a=${a:-v1}\nRUN x', { config: { Env: ['a=v1'] } }],
  [
    'FROM b\nRUN x',
    { steps: [{ env: [PATH], proxyEnv: ['HTTP_PROXY=p', 'all_proxy=q'] }] },
    { args: { HTTP_PROXY: 'p', all_proxy: 'q' } },
  ],
  ['FROM b\nARG HTTP_PROXY\nRUN x', env('HTTP_PROXY=p'), { args: { HTTP_PROXY: 'p' } }],
  [
    'FROM b\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT\nRUN x',
    env('TARGETARCH=arm', 'TARGETOS=linux', 'TARGETPLATFORM=linux/arm/v7', 'TARGETVARIANT=v7'),
  ],
  [
    'FROM b\nARG BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT\nRUN x',
    env('BUILDARCH=amd64', 'BUILDOS=linux', 'BUILDPLATFORM=linux/amd64', 'BUILDVARIANT='),
  ],
  ['FROM b\nRUN x', env()],
  ['FROM b\nRUN x', { rules: [undefined] }, { args: { BUILDKIT_INLINE_CACHE: '1' } }],
  ['FROM b\nRUN x', { rules: [] }, { args: { BUILDKIT_SYNTAX: 'x', SOURCE_DATE_EPOCH: '1' } }],
  ['FROM b AS x\nARG TARGETSTAGE\nRUN y', env('TARGETSTAGE=x'), { target: 'x' }],
]);

rows('ONBUILD', [
  ['FROM b\nONBUILD ADD . /app/src', { config: { OnBuild: ['ADD . /app/src'] }, steps: [] }],
  ['FROM b\nRUN y', { steps: [shell('x'), shell('y')] }, { base: { OnBuild: ['RUN x'] } }],
  [
    'FROM scratch AS tools\nFROM b',
    { steps: [{ from: { kind: 'stage', index: 0 } }], stages: [{}, { needs: [0] }] },
    { base: { OnBuild: ['COPY --from=0 /a /b'] } },
  ],
  ['FROM b\nONBUILD ONBUILD RUN x', at('2:9', 'ONBUILD cannot trigger ONBUILD')],
  ['FROM b\nONBUILD FROM x', at('2:9', 'ONBUILD cannot trigger FROM')],
  ['FROM b\nONBUILD MAINTAINER x', at('2:9', 'ONBUILD cannot trigger MAINTAINER')],
]);

rows('STOPSIGNAL', [
  ['FROM b\nSTOPSIGNAL SIGKILL', { config: { StopSignal: 'SIGKILL' } }],
  ['FROM b\nSTOPSIGNAL 9', { config: { StopSignal: '9' } }],
  ['FROM b\nSTOPSIGNAL rtmin+3', { config: { StopSignal: 'rtmin+3' } }],
  ['FROM b\nSTOPSIGNAL SIGNONE', at('2:12', '"SIGNONE" is not a signal')],
  ['FROM b\nSTOPSIGNAL 0', at('2:12', '"0" is not a signal')],
  ['FROM b\nSTOPSIGNAL RTMIN+16', at('2:12', '"RTMIN+16" is not a signal')],
]);

rows('HEALTHCHECK', [
  ['FROM b\nHEALTHCHECK NONE', { config: { Healthcheck: { Test: ['NONE'] } } }],
  [
    'FROM b\nHEALTHCHECK CMD a || exit 1',
    { config: { Healthcheck: { Test: ['CMD-SHELL', 'a || exit 1'] } } },
  ],
  [
    'FROM b\nHEALTHCHECK --interval=5m --timeout=3s --start-period=1s --start-interval=2s --retries=4 \\\n  CMD ["a"]',
    {
      config: {
        Healthcheck: {
          Test: ['CMD', 'a'],
          Interval: 300e9,
          Timeout: 3e9,
          StartPeriod: 1e9,
          StartInterval: 2e9,
          Retries: 4,
        },
      },
    },
  ],
  [
    'FROM b\nHEALTHCHECK CMD a\nHEALTHCHECK CMD b',
    {
      config: { Healthcheck: { Test: ['CMD-SHELL', 'b'] } },
      rules: ['MultipleInstructionsDisallowed'],
    },
  ],
]);

rows('SHELL', [
  [
    'FROM b\nSHELL ["/s", "-c"]\nCMD x',
    { config: { Shell: ['/s', '-c'], Cmd: ['/s', '-c', 'x'] }, rules: [] },
  ],
  ['FROM b\nSHELL ["/s"]\nSHELL ["/t"]\nRUN x', { steps: [{ argv: ['/t', 'x'] }] }],
  ['FROM b\nSHELL /s -c', at('2:1', 'SHELL needs a JSON array of strings')],
]);

rows('Here-documents', [
  ['FROM b\nRUN <<EOT bash\n  a\nEOT', { steps: [shell('<<EOT bash\n  a\nEOT')] }],
  [
    'FROM b\nRUN <<EOT\n#!/usr/bin/env python\nx\nEOT',
    { steps: [{ argv: [...SHELL, '/dev/pipes/EOT'], files: [{ mode: 0o755 }] }] },
  ],
  [
    'FROM b\nRUN <<A cat > a && <<B cat > b\n1\nA\n2\nB',
    { steps: [shell('<<A cat > a && <<B cat > b\n1\nA\n2\nB')] },
  ],
  [
    'FROM b\nCOPY <<EOF g.txt\nhello\nEOF',
    { steps: [{ files: [{ content: 'hello\n' }], destination: '/g.txt' }] },
  ],
  [
    'FROM b\nARG F=bar\nCOPY <<-E /s\n\tx ${F}\n\tE',
    { steps: [{ files: [{ content: 'x bar\n' }] }] },
  ],
  [
    'FROM b\nARG F=bar\nCOPY <<"E" /s\nx ${F}\nE',
    { steps: [{ files: [{ content: 'x ${F}\n' }] }] },
  ],
  ['FROM b\nCOPY <<A <<B /d/\n1\nA\n2\nB', { steps: [{ files: [{ name: 'A' }, { name: 'B' }] }] }],
]);

rows('Build checks', [
  ['FROM b AS Build', { rules: ['StageNameCasing'] }],
  ['FROM b as build', { rules: ['FromAsCasing'] }],
  ['from b AS build\nrun x', { rules: ['FromAsCasing'] }],
  ['FROM b\nRUN a \\\n\n  c', { rules: ['NoEmptyContinuation'] }],
  ['FROM b\nrun x\nRUN y', { rules: ['ConsistentInstructionCasing'] }],
  ['from b\nrun x\nCmd ["y"]', { rules: ['ConsistentInstructionCasing'] }],
  ['FROM b AS x\nFROM b AS x', { rules: ['DuplicateStageName'] }],
  ['FROM b AS scratch', { rules: ['ReservedStageName'] }],
  ['FROM b AS context', { rules: ['ReservedStageName'] }],
  ['FROM b\nENTRYPOINT x', { rules: ['JSONArgsRecommended'] }],
  ['FROM b AS x\nSHELL ["/s"]\nFROM x\nENTRYPOINT x', { rules: [] }],
  ['ARG a\nFROM b${a}', { rules: ['UndefinedArgInFrom'] }],
  ['ARG a\nFROM b:${a}', { rules: ['InvalidDefaultArgInFrom'] }, { args: { a: '1' } }],
  ['FROM b\nWORKDIR a\nWORKDIR b', { rules: ['WorkdirRelativePath'] }],
  [
    'FROM b\nCOPY $x /',
    {
      error: 'Dockerfile:2:6: a source of COPY is empty after expanding $x',
    },
  ],
  ['FROM --platform=$TARGETPLATFORM b', { rules: ['RedundantTargetPlatform'] }],
  ['FROM --platform=linux/amd64 b AS x', { rules: ['FromPlatformFlagConstDisallowed'] }],
  ['FROM --platform=linux/amd64 b AS x_amd64', { rules: [] }],
  [
    'FROM b\nARG GITHUB_TOKEN\nENV db_password=x',
    { rules: ['SecretsUsedInArgOrEnv', 'SecretsUsedInArgOrEnv'] },
  ],
  ['FROM b\nENV PUBLIC_KEY=x TOKEN_FILE=y monkey=z', { rules: [] }],
]);
