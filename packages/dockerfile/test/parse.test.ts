import { LktError } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import type { Dockerfile, Instruction } from '../src/parse/ast.ts';
import { parseDockerfile } from '../src/parse/parse.ts';

const parse = (text: string): Dockerfile => parseDockerfile({ path: 'Dockerfile', text });

/** Parses one instruction after `FROM scratch`, or FROM itself. */
function one(text: string): Instruction {
  const [stage] = parse(/^from/i.test(text) ? text : `FROM scratch\n${text}`).stages;
  const instruction = /^from/i.test(text) ? stage?.from : stage?.instructions[0];
  if (instruction === undefined) throw new Error('no instruction');
  return instruction;
}

const word = (text: string): unknown => expect.objectContaining({ text });

describe('instructions', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['FROM alpine', { image: word('alpine'), name: undefined, platform: undefined }],
    [
      'FROM --platform=$BUILDPLATFORM a/b:c AS Build',
      { image: word('a/b:c'), name: 'build', platform: word('$BUILDPLATFORM') },
    ],
    ['from\talpine as x', { keyword: 'FROM', name: 'x' }],
    [
      'ARG a b=1 c="x y" d=',
      {
        args: [
          { name: 'a', value: undefined },
          { name: 'b', value: word('1') },
          { name: 'c', value: word('"x y"') },
          { name: 'd', value: word('') },
        ],
      },
    ],
    [
      'RUN echo  a ; b',
      {
        command: { form: 'shell', script: 'echo  a ; b' },
        mounts: [],
        network: 'default',
        security: 'sandbox',
      },
    ],
    ['RUN ["a", "b c"]', { command: { form: 'exec', argv: ['a', 'b c'] } }],
    ["RUN ['a']", { command: { form: 'shell', script: "['a']" } }],
    [
      'RUN --network=none --security=insecure x',
      { network: 'none', security: 'insecure', command: { form: 'shell', script: 'x' } },
    ],
    ['RUN -- --x', { command: { form: 'shell', script: '--x' } }],
    [
      'RUN <<E cat\n a\nE',
      {
        command: { form: 'shell', script: '<<E cat' },
        heredocs: [
          expect.objectContaining({ name: 'E', content: ' a\n', expand: true, chomp: false }),
        ],
      },
    ],
    [
      'COPY a b /c/',
      {
        keyword: 'COPY',
        sources: [word('a'), word('b')],
        destination: word('/c/'),
        from: undefined,
        link: false,
        parents: false,
        exclude: [],
      },
    ],
    [
      'COPY --from=build --chown=1:2 --chmod=755 --link --parents --exclude=*.o --exclude=*.a a b',
      {
        from: word('build'),
        chown: '1:2',
        chmod: '755',
        link: true,
        parents: true,
        exclude: ['*.o', '*.a'],
      },
    ],
    ['COPY --link=false a b', { link: false }],
    ['COPY ["a b", "c"]', { sources: [word('a b')], destination: word('c') }],
    [
      'COPY <<A <<-"B" f /x/\n1\nA\n\t2\n\tB',
      {
        sources: [word('f')],
        heredocs: [
          expect.objectContaining({ name: 'A', content: '1\n' }),
          expect.objectContaining({ name: 'B', content: '\t2\n', expand: false, chomp: true }),
        ],
      },
    ],
    [
      `ADD --checksum=sha256:ab --keep-git-dir --unpack=false http://x /y`,
      { keyword: 'ADD', checksum: 'sha256:ab', keepGitDir: true, unpack: false },
    ],
    [
      'ENV a=1 b="2 3"',
      {
        pairs: [
          { name: word('a'), value: word('1') },
          { name: word('b'), value: word('"2 3"') },
        ],
      },
    ],
    ['ENV a b  c ', { pairs: [{ name: word('a'), value: word('b  c') }] }],
    ['ENV a==', { pairs: [{ name: word('a'), value: word('=') }] }],
    ['LABEL "a b"=c', { keyword: 'LABEL', pairs: [{ name: word('"a b"'), value: word('c') }] }],
    ['WORKDIR /a b', { path: word('/a b') }],
    ['USER a:b', { user: word('a:b') }],
    ['CMD []', { keyword: 'CMD', command: { form: 'exec', argv: [] } }],
    ['CMD a "b"', { command: { form: 'shell', script: 'a "b"' } }],
    ['ENTRYPOINT ["/a"]', { keyword: 'ENTRYPOINT', command: { form: 'exec', argv: ['/a'] } }],
    ['EXPOSE 80 53/udp', { values: [word('80'), word('53/udp')] }],
    ['VOLUME ["/a", "/b c"]', { values: [word('/a'), word('/b c')] }],
    ['VOLUME /a /b', { values: [word('/a'), word('/b')] }],
    ['STOPSIGNAL SIGTERM', { signal: word('SIGTERM') }],
    ['SHELL ["/bin/bash", "-c"]', { argv: ['/bin/bash', '-c'] }],
    ['HEALTHCHECK none', { command: undefined }],
    [
      'HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0 --start-interval=10ms --retries=3 CMD ["a"]',
      {
        command: { form: 'exec', argv: ['a'] },
        interval: 90e9,
        timeout: 15e8,
        startPeriod: 0,
        startInterval: 1e7,
        retries: 3,
      },
    ],
    ['HEALTHCHECK CMD a || b', { command: { form: 'shell', script: 'a || b' } }],
    [
      'ONBUILD COPY a b',
      { trigger: expect.objectContaining({ keyword: 'COPY', text: 'COPY a b' }) },
    ],
    [
      'ONBUILD RUN <<E\nx\nE',
      {
        trigger: expect.objectContaining({
          keyword: 'RUN',
          heredocs: [expect.objectContaining({ content: 'x\n' })],
        }),
      },
    ],
    ['MAINTAINER A <a@b>', { maintainer: 'A <a@b>' }],
  ];

  test.each(cases)('%s', (text, expected) => {
    expect(one(text)).toMatchObject(expected);
  });
});

describe('mounts', () => {
  const plain = {
    from: undefined,
    source: undefined,
    target: undefined,
    id: undefined,
    sharing: 'shared',
    required: false,
    env: undefined,
  };
  const cases: readonly (readonly [string, object])[] = [
    [
      'type=bind,source=a,target=/b',
      { ...plain, type: 'bind', source: 'a', target: '/b', readOnly: true },
    ],
    ['target=/b,rw', { ...plain, type: 'bind', target: '/b', readOnly: false }],
    ['from=build,src=/a,dst=/b', { type: 'bind', from: word('build'), source: '/a', target: '/b' }],
    [
      'type=cache,target=/c,id=x,sharing=locked,mode=0700,uid=1,gid=2',
      {
        type: 'cache',
        readOnly: false,
        id: 'x',
        sharing: 'locked',
        mode: '0700',
        uid: '1',
        gid: '2',
      },
    ],
    ['type=cache,target=/c,ro', { readOnly: true }],
    ['type=tmpfs,target=/t,size=1g', { type: 'tmpfs', size: '1g', readOnly: false }],
    ['type=secret,id=s,required', { type: 'secret', id: 's', required: true, target: undefined }],
    ['type=secret,id=s,required=false,env=TOKEN', { required: false, env: 'TOKEN' }],
    ['type=ssh', { type: 'ssh' }],
    ['type=bind,\\"target=/a,b\\"', { target: '/a,b' }],
  ];

  test.each(cases)('--mount=%s', (mount, expected) => {
    const run = one(`RUN --mount=${mount} x`);
    expect(run.keyword === 'RUN' ? run.mounts : []).toMatchObject([expected]);
  });
});

const at = (line: number, column: number, message: string): string =>
  `Dockerfile:${line}:${column}: ${message}`;

describe('rejected Dockerfiles', () => {
  const cases: readonly (readonly [string, string, string?])[] = [
    ['', at(1, 1, 'the Dockerfile has no instructions'), 'start it with FROM'],
    ['# only\n\n', at(1, 1, 'the Dockerfile has no instructions')],
    ['ARG a', at(1, 1, 'the Dockerfile has no FROM')],
    ['RUN x\nFROM y', at(1, 1, 'RUN comes before the first FROM')],
    ['FROM x\n\n  CPOY a b', at(3, 3, 'unknown instruction: CPOY'), 'did you mean COPY?'],
    ['FROM x\nRUN a &&\n    b', at(3, 5, 'unknown instruction: b')],
    ['FROM', at(1, 1, 'FROM requires an image or a stage')],
    [
      'FROM a b',
      at(1, 8, 'FROM takes one image and an optional stage name'),
      'write it as FROM IMAGE AS NAME',
    ],
    ['FROM a AS', at(1, 8, 'FROM takes one image and an optional stage name')],
    ['FROM a AS b c', at(1, 13, 'FROM takes one image and an optional stage name')],
    ['FROM a AS 1b', at(1, 11, '"1b" is not a valid stage name')],
    ['FROM --plaform=x a', at(1, 6, 'unknown flag --plaform of FROM'), 'did you mean --platform?'],
    ['FROM --platform a', at(1, 6, 'the flag --platform has no value')],
    ['FROM a\nARG =x', at(2, 5, 'ARG has a value without a name')],
    ['FROM a\nARG', at(2, 1, 'ARG requires at least one argument')],
    ['FROM a\nRUN', at(2, 1, 'RUN requires a command')],
    ['FROM a\nRUN []', at(2, 1, 'RUN requires a command')],
    [
      'FROM a\nRUN --network=off x',
      at(2, 5, '"off" in --network is not one of default, none, host'),
    ],
    [
      'FROM a\nRUN --mount=type=bnd,target=/x y',
      at(2, 5, '"bnd" is not a valid value for the --mount option type'),
      'did you mean bind?',
    ],
    [
      'FROM a\nRUN --mount=type=bind,targt=/x y',
      at(2, 5, '--mount has no option "targt"'),
      'did you mean target?',
    ],
    [
      'FROM a\nRUN --mount=type=tmpfs,target=/x,from=b y',
      at(2, 5, '--mount=type=tmpfs has no option "from"'),
    ],
    ['FROM a\nRUN --mount=type=cache,target y', at(2, 5, 'the --mount option target has no value')],
    ['FROM a\nRUN --mount=type=secret y', at(2, 5, '--mount=type=secret needs an id or a target')],
    [
      'FROM a\nRUN --mount=from=$b,target=/x y',
      at(2, 5, 'variables are not expanded in the --mount option from'),
    ],
    [
      'FROM a\nRUN <<E\nx',
      at(2, 5, 'the here-document "E" is not terminated'),
      'add a line with only E',
    ],
    ["FROM a\nRUN <<'E\nx\nE", at(2, 5, "the here-document name <<'E has an unclosed quote")],
    ['FROM a\nCOPY x', at(2, 6, 'COPY requires at least one source and a destination')],
    ['FROM a\nCOPY', at(2, 1, 'COPY requires at least one source and a destination')],
    ['FROM a\nCOPY x <<E\nE', at(2, 8, 'COPY cannot have a here-document as its destination')],
    ['FROM a\nCOPY --from=$x a b', at(2, 13, 'variables are not expanded in --from')],
    ['FROM a\nCOPY --from=x --from=y a b', at(2, 15, 'the flag --from is given twice')],
    ['FROM a\nCOPY --link=maybe a b', at(2, 6, '"maybe" is not a valid value for --link')],
    ['FROM a\nADD --from=x a b', at(2, 5, 'unknown flag --from of ADD')],
    ['FROM a\nENV', at(2, 1, 'ENV requires at least one argument')],
    ['FROM a\nENV a', at(2, 5, 'ENV a has no value'), 'write ENV a=value'],
    ['FROM a\nENV a=1 b', at(2, 9, '"b" is not of the form name=value')],
    ['FROM a\nENV =x', at(2, 6, 'ENV has a value without a name')],
    ['FROM a\nLABEL a=b c', at(2, 11, '"c" is not of the form name=value')],
    ['FROM a\nCMD ["a", 1]', at(2, 5, 'the array after CMD has elements that are not strings')],
    [
      'FROM a\nCMD --x a',
      at(2, 5, 'unknown flag --x of CMD'),
      'CMD has no flags; put -- before an argument that starts with --',
    ],
    ['FROM a\nWORKDIR', at(2, 1, 'WORKDIR requires exactly one argument')],
    ['FROM a\nUSER', at(2, 1, 'USER requires exactly one argument')],
    ['FROM a\nEXPOSE', at(2, 1, 'EXPOSE requires at least one argument')],
    ['FROM a\nVOLUME [""]', at(2, 1, 'VOLUME has an empty path')],
    ['FROM a\nSHELL /bin/sh', at(2, 1, 'SHELL needs a JSON array of strings')],
    ['FROM a\nSHELL []', at(2, 1, 'SHELL needs a JSON array of strings')],
    ['FROM a\nHEALTHCHECK', at(2, 1, 'HEALTHCHECK requires at least one argument')],
    ['FROM a\nHEALTHCHECK CONNECT x', at(2, 13, 'unknown type CONNECT in HEALTHCHECK')],
    ['FROM a\nHEALTHCHECK CMD', at(2, 13, 'HEALTHCHECK CMD has no command')],
    ['FROM a\nHEALTHCHECK NONE x', at(2, 18, 'HEALTHCHECK NONE takes no arguments')],
    [
      'FROM a\nHEALTHCHECK --interval=1x CMD a',
      at(2, 13, '"1x" in --interval is not a duration such as 1m30s'),
    ],
    [
      'FROM a\nHEALTHCHECK --interval=50ns CMD a',
      at(2, 13, '"50ns" in --interval is less than 1ms'),
    ],
    [
      'FROM a\nHEALTHCHECK --retries=-1 CMD a',
      at(2, 13, '"-1" in --retries is not a whole number'),
    ],
    ['FROM a\nONBUILD', at(2, 1, 'ONBUILD requires at least one argument')],
    ['FROM a\nONBUILD FROM b', at(2, 9, 'ONBUILD cannot trigger FROM')],
    ['FROM a\nONBUILD ONBUILD RUN x', at(2, 9, 'ONBUILD cannot trigger ONBUILD')],
    ['FROM a\nMAINTAINER --boo x', at(2, 12, 'unknown flag --boo of MAINTAINER')],
    ['# escape=x\nFROM a', at(1, 10, '"x" cannot be the escape character')],
    ['# escape=`\n# escape=`\nFROM a', at(2, 1, 'the directive "escape" is given twice')],
    ['FROM a\nRUN a\0b', at(2, 6, 'the Dockerfile contains a NUL byte')],
  ];

  test.each(cases)('%j', (text = '', message = '', fix) => {
    let caught: unknown;
    try {
      parse(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(LktError);
    const { code, message: found, fix: foundFix } = caught as LktError;
    expect([code, found]).toEqual(['DOCKERFILE_INVALID', message]);
    if (fix !== undefined) expect(foundFix).toBe(fix);
  });

  test('shows the line and a caret', () => {
    expect(() => parse('FROM a\n\tCPOY x y')).toThrow(
      expect.objectContaining({ detail: '  2 | \tCPOY x y\n    | \t^^^^' }),
    );
  });
});

describe('lines', () => {
  test('joins an instruction over several lines', () => {
    const text = 'FROM a\r\n\r\n  RUN x \\\r\n# note\r\n\\\r\n   y  \r\nCMD z';
    const [run] = parse(text).stages[0]?.instructions ?? [];
    expect(run).toMatchObject({ text: 'RUN x    y', position: { line: 3, column: 3 } });
    expect(text.slice(run?.offset ?? 0, (run?.offset ?? 0) + (run?.length ?? 0))).toBe(
      'RUN x \\\r\n# note\r\n\\\r\n   y  ',
    );
  });

  test('locates a word after a continuation', () => {
    const instruction = one('COPY a \\\n  b /c');
    expect(instruction.keyword === 'COPY' ? instruction.sources[1] : undefined).toMatchObject({
      text: 'b',
      position: { line: 3, column: 3 },
      length: 1,
    });
  });

  test('accepts a byte order mark and a missing final line break', () => {
    expect(parse('\uFEFFFROM a').stages[0]?.from.image).toMatchObject({
      text: 'a',
      position: { line: 1, column: 7 },
    });
  });

  test('keeps the body of a here-document unchanged', () => {
    const run = one('RUN <<E\r\n# a \\\r\n\r\n  b\r\nE\r\n');
    expect(run.heredocs[0]?.content).toBe('# a \\\r\n\r\n  b\r\n');
  });

  test('continues after here-documents', () => {
    const { stages } = parse('FROM a\nRUN <<A <<B\nCOPY x y\nA\nB\nCMD z');
    expect(stages[0]?.instructions.map(({ keyword }) => keyword)).toEqual(['RUN', 'CMD']);
  });

  test('finds no here-document in quotes, inside words and in other instructions', () => {
    for (const run of [
      'RUN "<<A"',
      'RUN cat<<A',
      'RUN ["<<A"]',
      'RUN a <<<A',
      "RUN it's <<A",
      'CMD <<A',
    ]) {
      expect(one(run).heredocs).toEqual([]);
    }
  });
});

describe('directives', () => {
  test('are read at the top', () => {
    const { directives } = parse(
      '#!/x\n# Syntax = docker/dockerfile:1\n#escape=`\n# check=skip=all\nFROM `\n a',
    );
    expect(directives).toMatchObject({
      syntax: { text: 'docker/dockerfile:1', position: { line: 2, column: 12 } },
      escape: '`',
      check: { text: 'skip=all' },
    });
  });

  test('are comments after anything else', () => {
    for (const text of ['# x\n# escape=`\n', '\n# escape=`\n', '# unknown=1\n# escape=`\n']) {
      expect(parse(`${text}FROM a`).directives.escape).toBe('\\');
    }
  });
});

test('separates global arguments and stages', () => {
  const { globalArgs, stages } = parse('ARG a\nARG b=1\nFROM x AS one\nRUN y\nFROM one\nCMD z');
  expect(globalArgs.map(({ args }) => args[0]?.name)).toEqual(['a', 'b']);
  expect(
    stages.map(({ index, from, instructions }) => [index, from.name, instructions.length]),
  ).toEqual([
    [0, 'one', 1],
    [1, undefined, 1],
  ]);
});

test('warns about invalid JSON and blank lines in instructions', () => {
  const { warnings } = parse("FROM a\nCMD ['x']\nRUN a \\\n\n  b");
  expect(warnings).toEqual([
    {
      position: { line: 2, column: 5 },
      text: 'the array after CMD is not valid JSON and is treated as text; quote its elements with "',
    },
    {
      position: { line: 4, column: 1 },
      text: 'a continued instruction contains a blank line',
      rule: 'NoEmptyContinuation',
    },
  ]);
});
