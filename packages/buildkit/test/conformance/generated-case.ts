import { hash } from 'node:crypto';
import * as fc from 'fast-check';
import { directory, file, hardlink, link } from '../../../builder/test/fixture.ts';
import type { OwnCase } from './own-case.ts';

/** The context of each case. */
const CONTEXT = {
  'a.txt': 'a\n',
  'b.txt': 'b\n',
  'c.md': 'c\n',
  '.hidden': 'h\n',
  'run.sh': { program: '#!/bin/sh\n' },
  'd/one': '1\n',
  'd/.dot': 'dot\n',
  'd/e/two': '2\n',
  'd/e/f/three': '3\n',
  'd/up': { link: '../a.txt' },
  'g/one': 'other\n',
  'g/x.txt': 'x\n',
  'g/y.md': 'y\n',
  link: { link: 'd' },
  'to-file': { link: 'a.txt' },
  'a.tar': {
    tar: () => [directory('t', 0o750), file('t/in', 'in\n', 0o640), link('t/link', 'in')],
  },
  'odd.tar': {
    tar: () => [
      file('o/one', 'first\n'),
      hardlink('o/same', 'o/one'),
      file('o/one', 'second\n', 0o4750),
      file('o/dir', 'a file\n'),
      directory('o/dir', 0o1777),
      file('o/dir/in', 'in\n'),
      directory('o/deep/er', 0o700),
      link('o/out', '/etc'),
      { ...file('o/owned', 'x\n'), uid: 1234, gid: 70_000, mtime: 5 },
    ],
  },
  'a.tgz': { tar: () => [file('z', 'z\n'), directory('d'), file('d/zz', 'zz\n')], gzip: true },
} as const;

/**
 * Makes files, links and variables for the lines after it. Paths that are links lead to
 * directories: COPY replaces a link to a file, a divergence.
 */
const BEGIN = [
  'RUN mkdir -p /x/one /y && ln -s etc /l && ln -s /x /lr && echo f > /f',
  'ENV S=a.txt D=/dd P=/p/b/c.tar.gz',
  'ARG A=v',
] as const;

const SOURCES = [
  ['a.txt', 'b.txt', './a.txt', '/a.txt', '$S', 'run.sh', '.hidden', 'to-file', 'a.tar', 'none'],
  ['d', 'd/', 'd/.', 'd/e', 'd/e/', 'd/e/f', 'd/../a.txt', 'd/up', 'g', 'g//x.txt', './/g/'],
  ['link', 'link/', 'link/one', 'link/e/two', 'link/*', '.', './', '/', 'n*ne'],
  ['*.txt', '?.txt', '*.md', '[ab].txt', '[^a].txt', '.*', 'g/*', '*/one', '*/*/two'],
].flat();
const STAGE_SOURCES = [
  ['/x', '/x/', '/x/*', '/y', '/f', '/l', '/l/', '/l/passwd', '/lr', '/lr/one', '/etc/group'],
  ['/et*/passwd', '/etc/../etc/group', 'etc/passwd', '/root', '/none', '/x/one/..', '/var/lib'],
].flat();
const DESTINATIONS = [
  ['/', '/x', '/x/', '/x/y', '/x/y/', '.', './', 'q', 'q/', '/l', '/l/', '/l/n', '/lr', '/lr/'],
  ['/etc', '/etc/passwd', '/tmp/t', '/new/deep/er/', '/new/deep/er', '${D}/$S'],
  ['/x/../y', '/bin/..', '..', '../upper', '/f', '/f/', '/f/g', '/dev/x', '/usr/local/bin/'],
].flat();
/** runc, of BuildKit, starts no command where /etc/passwd is a directory. */
const ARCHIVE_DESTINATIONS = DESTINATIONS.filter((path) => path !== '/etc/passwd');
const DIRECTORIES = DESTINATIONS.filter((path) => path.endsWith('/'));
const PATHS = [
  ['/x', '/x/y', '/x/one', '/y', '/f', '/l', '/lr', '/q', '/new', '/new/deep', '/tmp/t', '/h'],
  ['/var/lib', '/usr/local'],
].flat();
const WORDS = [
  ['v', '$A', '${A:-def}', '${A:+alt}', '${U:-x}', '${U-}', '$A$S', '${B:-${A}}', '"${A}"x', '$U'],
  ['"q $A"', "'s $A'", 'a\\ b', '\\$A', '"a\\"b"', '"it\'s"', '""', "''", "a'b'c", '\\\\', '"\\n"'],
  ['${P##*/}', '${P#*/}', '${P%/*}', '${P%%/*}', '${P/b/X}', '${P//\\//_}', '$$', '"$"', 'é', '#h'],
  ['${A:?no}', '${U:?no}', 'x=y', '"a=b c"', '${A', '${}'],
].flat();

const one = fc.constantFrom;
const path = one(...PATHS);
const word = one(...WORDS);

/** One of the lines, with its placeholders filled. */
function text(...templates: readonly string[]): fc.Arbitrary<string> {
  const parts = fc.tuple(one(...templates), path, path, word, word);
  return parts.map(([template, path1, path2, word1, word2]) =>
    template
      .replaceAll('PATH1', () => path1)
      .replaceAll('PATH2', () => path2)
      .replaceAll('WORD1', () => word1)
      .replaceAll('WORD2', () => word2),
  );
}

const command = text(
  'mkdir -p PATH1',
  'rm -rf PATH1',
  'rm -rf PATH1 && mkdir PATH1',
  'rm -f PATH1 && cp /bin/busybox PATH1',
  'ln -s PATH2 PATH1',
  'ln -sfn /etc PATH1',
  'ln -sfn ../x PATH1',
  'ln PATH1 PATH2',
  'echo text > PATH1',
  'echo more >> PATH1',
  'mkdir -p PATH1/sub && echo s > PATH1/sub/s',
  'mv PATH1 PATH2',
  'mv PATH1 PATH1.m && mv PATH1.m PATH1',
  'cp -a PATH1 PATH2',
  'chmod 1777 PATH1',
  'chmod 4755 PATH1',
  'chmod 0 PATH1',
  'chown 70000:3 PATH1',
  'chown -R 5:6 PATH1',
  'mkfifo PATH1',
  'test -d PATH1 || touch -d @100000 PATH1',
  'env | sort | grep -v SOURCE_DATE_EPOCH > PATH1',
  'echo "$A-$S-$U-$HOME-$PWD-$(id -u):$(id -g)" > PATH1',
  'grep Cap /proc/self/status > PATH1',
  'test -d PATH1',
  'ls -lnR PATH1 | grep -v total | tr -s " " | cut -d" " -f1,3,4,9- > /tmp/ls',
  'echo "$TARGETPLATFORM $TARGETARCH-$TARGETVARIANT $BUILDOS $G $HTTP_PROXY" > PATH1',
);

function mount(stages: readonly string[]): fc.Arbitrary<string> {
  const targets = one('/x', '/new/m', '/y/', 'rel', '/etc/passwd', '/l', '/lr/m', '/f');
  const contexts = one(
    '',
    ',source=d',
    ',source=./d/',
    ',source=a.txt',
    ',source=/g',
    ',source=link',
  );
  const sources = one('', ',source=/x', ',source=/f', ',source=/lr', ',source=etc/passwd');
  const froms = stages.map((stage) => `,from=${stage}`);
  const binds = fc.oneof(
    contexts,
    ...(froms.length === 0 ? [] : [fc.tuple(one(...froms), sources).map((all) => all.join(''))]),
  );
  return fc.oneof(
    fc
      .tuple(one('', 'type=bind,'), targets, binds, one('', ',rw', ',ro'))
      .map(([type, target, from, access]) => `${type}target=${target}${from}${access}`),
    targets.map((target) => `type=tmpfs,target=${target}`),
    fc
      .tuple(targets, one('', ',uid=5', ',mode=0700,gid=6'), one(...froms, ''))
      .map(([target, owner, from]) => `type=cache,target=${target},id=ID${owner}${from}`),
  );
}

const run = (stages: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.oneof(
        { weight: 3, arbitrary: one('') },
        mount(stages).map((options) => `--mount=${options}`),
      ),
      fc.array(command, { minLength: 1, maxLength: 3 }),
      one(' ; ', ' && '),
      one('', ' ; true', ' ; true', ' || stat -c "%n %a %u %g" /x /y > /tmp/s'),
    )
    .map(([mounted, commands, and, end]) => `RUN ${mounted} ${commands.join(and)}${end}`);

const heredoc = text(
  'COPY <<EOF PATH1\ntext $A ${B:-b} \\$A\n  WORD1\nEOF',
  'COPY <<"EOF" PATH1\nraw $A\nEOF',
  'COPY <<-one <<two /x/\n\ttabs $A\n\tone\nsecond\ntwo',
  'RUN <<EOF\necho "$A" > PATH1 || true\nEOF',
  "RUN <<'EOF' sh -e\necho $0 > /h\nEOF",
  'RUN cat <<A > /h; cat <<B > /hb\na $A\nA\nb\nB',
);

const metadata = text(
  'ENV A=WORD1',
  'ENV A=WORD1 B=WORD2',
  'ENV B WORD1 WORD2',
  'ARG A=WORD1',
  'ARG B',
  'ARG U=WORD1 A',
  'ARG TARGETPLATFORM TARGETARCH BUILDOS',
  'ARG TARGETVARIANT=WORD1 TARGETARCH=own',
  'ARG G',
  'ARG G=WORD1',
  'ARG HTTP_PROXY=WORD1',
  'LABEL k=WORD1 "a b"=WORD2',
  'LABEL k="line \\\n  WORD1"',
  'WORKDIR /w',
  'WORKDIR rel',
  'WORKDIR /l',
  'WORKDIR ./k',
  'WORKDIR "/sp ace"',
  'WORKDIR $D',
  'USER bin',
  'USER daemon:mail',
  'USER 5:6',
  'USER root',
  'EXPOSE 80/tcp 90/udp',
  'EXPOSE 1000-1003 ${B:-7}',
  'VOLUME /v /w',
  'VOLUME ["/v1", "/v 2"]',
  'CMD echo $A',
  'CMD ["a", "b"]',
  'ENTRYPOINT exec WORD1',
  'ENTRYPOINT ["e", "$A"]',
  'ENTRYPOINT []',
  'STOPSIGNAL SIGRTMIN+3',
  'STOPSIGNAL 9',
  'HEALTHCHECK NONE',
  'HEALTHCHECK --interval=5s --retries=2 CMD x WORD1',
  'SHELL ["/bin/sh", "-ec"]',
  'MAINTAINER WORD1',
);

function copy(stages: readonly string[]): fc.Arbitrary<string> {
  const flags = fc.tuple(
    one('', '', '', '', '--chown=bin', '--chown=5:6', '--chown=bin:mail', '--chown=:7'),
    one('', '', '', '', '--chmod=600', '--chmod=0755', '--chmod=4711'),
    one('', '', '', '', '--link'),
    one('', '', ...stages.map((stage) => `--from=${stage}`)),
  );
  return flags.chain(([owner, mode, isLink, from]) => {
    const source = one(...(from === '' ? SOURCES : STAGE_SOURCES));
    const words = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(source, one(...DESTINATIONS)) },
      fc.tuple(source, source, one(...DIRECTORIES)),
    );
    // `--chown` of an archive is a divergence.
    const archive = fc.tuple(one('a.tar', 'a.tgz', 'odd.tar'), one(...ARCHIVE_DESTINATIONS));
    return fc.oneof(
      {
        weight: 5,
        arbitrary: words.map((all) => ['COPY', owner, mode, isLink, from, ...all].join(' ')),
      },
      words.map((all) => `COPY ${owner} ${from} ${JSON.stringify(all)}`),
      archive.map((all) => ['ADD', isLink, ...all].join(' ')),
    );
  });
}

/** A line of a stage. A trigger is for the stages from it. */
function line(stages: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: copy(stages) },
    { weight: 5, arbitrary: run(stages) },
    { weight: 5, arbitrary: metadata },
    { weight: 1, arbitrary: heredoc },
    { weight: 1, arbitrary: fc.oneof(copy([]), run([])).map((trigger) => `ONBUILD ${trigger}`) },
  );
}

const NAMES = ['one', 'two', 'three'];

/** Names of the base image; most with an ARG from before all stages. */
const BASES = ['base', 'base', '${G}', '${none:-base}', '"$G"', '${G%x}'] as const;

function stageOf(at: number): fc.Arbitrary<readonly string[]> {
  const before = NAMES.slice(0, at);
  return fc
    .tuple(one(...BASES, ...before), fc.array(line(before), { minLength: 1, maxLength: 6 }))
    .map(([from, lines]) => [
      `FROM ${from} AS ${NAMES[at]}`,
      ...(before.includes(from) ? [] : BEGIN),
      ...lines,
    ]);
}

/** Another spelling of a line: it means the same. */
const spelling = fc.oneof(
  { weight: 4, arbitrary: fc.constant((a: string) => a) },
  fc.constant((a: string) => a.replace(/^\w+/, (keyword) => keyword.toLowerCase())),
  fc.constant((a: string) => `  ${a.replace(' ', '\t')}`),
  fc.constant((a: string) => a.replace(' ', ' \\\n# a comment\n   ')),
  fc.constant((a: string) => a.replace(' ', ' \\\n\n')),
  fc.constant((a: string) => `# a comment \\\n${a}${a.includes('ONBUILD') ? '' : '  '}`),
  fc.constant((a: string) => a.replace(/(\w)(\w)/, '$1\\\n$2')),
);

/** Spells some lines in another way. Lines of here-documents stay: blanks count there. */
function spelled(lines: readonly string[]): fc.Arbitrary<readonly string[]> {
  return fc
    .tuple(...lines.map(() => spelling))
    .map((ways) => lines.map((a, at) => (a.includes('\n') ? a : (ways[at]?.(a) ?? a))));
}

const PATTERNS = [
  ['*.md', '!c.md', 'd', '!d/e', '**/one', 'g/*.md', '!g/y.md', '.*', '/d/e', '*', '!a.txt'],
  ['!**/two', '!d/e/*', './g', 'g/', '[ab].txt', 'l?nk', '!link', '**', '!**/*.txt'],
].flat();

const ignored = fc
  .array(one(...PATTERNS), { maxLength: 3 })
  .map((patterns) => `${patterns.join('\n')}\n`);

/**
 * A Dockerfile of valid instructions, in which any path may be of another kind than they need.
 * Leaves out the divergences that docs/dockerfile.md lists.
 */
export const generatedCase: fc.Arbitrary<Omit<OwnCase, 'name'>> = fc
  .tuple(
    one(1, 1, 2, 3).chain((count) =>
      fc.tuple(...NAMES.slice(0, count).map((_, at) => stageOf(at))),
    ),
    fc.option(ignored, { freq: 5, nil: '' }),
    one<Record<string, string>[]>({}, {}, { B: 'given' }, { A: 'g v', TARGETARCH: 'given' }),
  )
  .chain(([stages, patterns, buildArgs]) =>
    spelled(['ARG G=base', ...stages.flat()]).map((dockerfile) => ({
      dockerfile,
      patterns,
      buildArgs,
    })),
  )
  .map(({ dockerfile, patterns, buildArgs }) => ({
    // Each case has its own cache.
    dockerfile: dockerfile.map((a) => a.replace('id=ID', `id=${hash('sha1', dockerfile.join())}`)),
    context: { ...CONTEXT, '.dockerignore': patterns },
    buildArgs,
  }));
