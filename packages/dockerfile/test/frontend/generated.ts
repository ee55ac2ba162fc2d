import * as fc from 'fast-check';

const one = fc.constantFrom;
const joined = (pieces: readonly string[], maxLength: number): fc.Arbitrary<string> =>
  fc.array(one(...pieces), { minLength: 1, maxLength }).map((parts) => parts.join(''));

/** The variables of `generatedWord`. */
export const VARIABLES = ['A=va', 'B=x y', 'E=', 'P=/a/b/ab.a*b', "Q='q'"] as const;

/** Words with quotes, escapes and expansions, also broken ones. */
export const generatedWord: fc.Arbitrary<{
  readonly word: string;
  readonly escape: string;
  readonly isText: boolean;
}> = fc.record({
  word: joined(
    [
      [
        'a',
        'b',
        'ab',
        ' ',
        '  ',
        '\t',
        '"',
        "'",
        '\\',
        '\\\\',
        '$',
        '$A',
        '$B',
        '$U',
        '$E',
        '${A}',
      ],
      [
        '${A',
        '}',
        '{',
        '${U:-',
        '${U-',
        '${E:-',
        '${E-',
        '${A:+',
        '${A+',
        '${A:?',
        '${U:?',
        '${U?',
      ],
      ['${P#', '${P##', '${P%', '${P%%', '${P/', '${P//', '/', '*', '?', '[a]', '.', '#', '%', ':'],
      ['-', 'é', '\n', '\\n', '\\$', '\\"', "\\'", '\\}', '$$', '$1', '$@', '$*', '${1}', '${A:}'],
      ['${A:-a', 'x}', '`', '^', '(', '|', '+', '\\/', '\\*'],
    ].flat(),
    9,
  ),
  escape: one('\\', '`'),
  isText: one(false, false, false, true),
});

/** The paths to which `generatedPatterns` apply. */
export const PATHS: readonly string[] = [
  ['a', 'b', 'd', 'a/b', 'a/a', 'd/a', 'd/b/a', 'a.md', 'é', '.a', 'a/.b', 'd/d/d/a', 'ab', 'a b'],
  ['*', 'a*', '[a', '#', 'b/a/b', 'a+', '{a}', '!a', '-', '..a', '...', 'a/b.md', 'c'],
].flat();

/** Texts of .dockerignore without what docs/dockerfile.md lists as a divergence. */
export const generatedPatterns: fc.Arbitrary<string> = fc
  .array(
    joined(
      [
        ['a', 'b', 'd', '*', '**', '?', '/', '//', '.', '..', '!', '[ab]', '[^a]', '[a-c]', '\\*'],
        ['é', ' ', '.md', 'a/b', '**/a', 'a/**', '#', '{', '}', '(', '+', '-', ']'],
      ].flat(),
      5,
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((patterns) => patterns.join('\n'))
  // A pattern `!` after slashes is an exception in BuildKit, and an error in most places.
  .filter((text) => !/\/ *!|! *\/ /.test(text));

const WORDS = [
  ['v', '$A', '${A:-def}', '${A:+alt}', '${U:-x}', '${U-}', '$A$S', '${B:-${A}}', '"${A}"x', '$U'],
  ['"q $A"', "'s $A'", 'a\\ b', '\\$A', '"a\\"b"', '"it\'s"', '""', "''", "a'b'c", '\\\\', '"\\n"'],
  ['${P##*/}', '${P%/*}', '${P/b/X}', '$$', '"$"', 'é', '#h', '${A:?no}', 'x=y', '"a=b c"', '${A'],
  ['${}', '80', '/a/../b', '.', '..', '/', '$X', '$E', '${E:-e}', '\\', 'a\\', 'A=1', 'a=', '=a'],
  ['--x', 'one', 'base', '$G', 'NONE', '$PATH', '${TARGETARCH}', '\t', 'a"b c"d', '"unclosed'],
  ['k="v w"', 'k=v\\ w', '"k k"=v', '$A=1', '80/udp', '1-3', '3-1', '8080:80', 'a.b=c', '%', '*'],
].flat();

const KEYWORDS = [
  ['ENV', 'ENV', 'ENV', 'ARG', 'ARG', 'ARG', 'LABEL', 'WORKDIR', 'USER', 'EXPOSE', 'VOLUME', 'CMD'],
  ['ENTRYPOINT', 'STOPSIGNAL', 'HEALTHCHECK', 'HEALTHCHECK --interval=5s CMD', 'SHELL', 'RUN'],
  ['HEALTHCHECK --timeout=1m --retries=3 --start-period=1h --start-interval=2s CMD', 'MAINTAINER'],
  ['RUN', 'RUN', 'RUN --mount=type=cache,target=/c', 'RUN --mount=type=tmpfs,target=/t,size=1k'],
  ['RUN --mount=type=secret,id=$A,target=/k,mode=0444,uid=5,required', 'RUN --network=none'],
  ['RUN --mount=type=bind,target=$A,from=one', 'RUN --mount=type=bind,src=d,dst=/m,readonly=false'],
  ['COPY', 'ADD', 'COPY --from=one', 'COPY --chown=$A:b', 'COPY --link --chmod=755', 'ONBUILD RUN'],
  ['ONBUILD ENV', 'ONBUILD COPY', 'RUN <<E', 'RUN cat <<E', 'COPY <<"E" <<F', 'RUN <<-E', 'env'],
  ['FROM', 'FROM base AS', 'FROM one', 'FROM --platform=$BUILDPLATFORM', '#', 'BOGUS', ';', ''],
].flat();

const ENDS = [
  [
    '',
    '',
    '',
    '',
    '',
    '',
    ' \\\n',
    ' \\ \n',
    '\\\n# c\n',
    ' \\\n\n',
    '\n',
    '  ',
    '\t',
    '\r',
    ' # x',
  ],
  ['\nt $A "q"\nE', '\nt\nE\nu\nF', '\n\tt\n\tE', '\nt\\\nE'],
].flat();

const HEADS = [
  ['', '', '', '', '# escape=`\n', '#escape = \\\n', '# syntax=x\n', '#\n# escape=`\n', '\n'],
  ['# Escape=`\n', '# escape=x\n', '\uFEFF# escape=`\n', '# foo=bar\n# escape=`\n'],
].flat();

const GLOBALS = [
  ['', '', 'ARG G=base\n', 'ARG G\n', 'ARG A=pre\nARG G=${A}x\n', 'ARG G=base A=$G\n'],
  ['ARG G="base" H=\'x y\'\n', 'ARG S=$BUILDPLATFORM\n', 'ENV A=1\n'],
].flat();

const STAGES = [
  'FROM base\n',
  'FROM $G AS one\n',
  'FROM ${G:-base} as One\n',
  'FROM scratch AS one\n',
  'FROM base AS one\nENV A=va S=s P=/p/b/c.tar.gz\nARG B=bb\n',
  'FROM base AS one\nONBUILD ENV OB=$A\nONBUILD RUN x $A\nFROM one\nARG A=2\n',
  'FROM base AS one\nARG A=first\nFROM one AS two\nENV B=$A\n',
  'FROM --platform=$TARGETPLATFORM base AS one\n',
];

const ARRAYS = [
  ['["a"]', '[ "a" , "b c" ]', '["$A","b\\n\\u00e9","/"]', '[]', '["a",]', '[1]', '[""]'],
  ['["a" "b"]', '{"a":1}', '[["a"]]', '["a",\\\n"b"]'],
].flat();

const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        one('', '', '', ' ', '\t'),
        one(...KEYWORDS),
        fc.array(one(...WORDS), { maxLength: 4 }),
        one(...ENDS),
      )
      .map(([blank, keyword, words, end]) => `${blank}${keyword} ${words.join(' ')}${end}`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        one(
          'CMD',
          'ENTRYPOINT',
          'VOLUME',
          'SHELL',
          'RUN',
          'HEALTHCHECK CMD',
          'COPY',
          'ONBUILD CMD',
        ),
        one(...ARRAYS),
        one('', ' ', '\t', '\r'),
      )
      .map(([keyword, array, end]) => `${keyword} ${array}${end}`),
  },
);

/** Dockerfiles of which most are broken somewhere. */
export const generatedDockerfile: fc.Arbitrary<{
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
}> = fc.record({
  dockerfile: fc
    .tuple(
      one(...HEADS),
      one(...GLOBALS),
      one(...STAGES),
      fc.array(line, { minLength: 1, maxLength: 4 }),
    )
    .map(([head, globals, stages, lines]) => `${head}${globals}${stages}${lines.join('\n')}\n`)
    // BuildKit ignores a here-document with a broken expansion in its line, which lkt reports, and
    // a backslash at the end of its line if another character escapes.
    .filter((text) => !/<<.*(?:\$\{(?:A?[^}\w]|\})|\\$)/m.test(text)),
  args: one<Record<string, string>[]>(
    {},
    {},
    { A: 'ga' },
    { B: 'g v', G: 'base', TARGETARCH: 'x' },
    { HTTP_PROXY: 'p', U: '' },
  ),
});
