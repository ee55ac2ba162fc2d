import type { OwnCase } from '../own-case.ts';

const TREE = {
  'a.txt': 'a\n',
  'b.txt': 'b\n',
  'run.sh': { program: '#!/bin/sh\n' },
  'd/one': '1\n',
  'd/e/two': '2\n',
  'd/e/f/three': '3\n',
  link: { link: 'd' },
  'd/up': { link: '../a.txt' },
  'd/gone': { link: 'nowhere' },
} as const;

const CASES: readonly OwnCase[] = [
  { name: 'a file to a new name', dockerfile: ['FROM scratch', 'COPY a.txt /x'] },
  { name: 'a file to a new directory', dockerfile: ['FROM scratch', 'COPY a.txt /x/y/'] },
  { name: 'a file below new directories', dockerfile: ['FROM scratch', 'COPY a.txt /x/y/z'] },
  {
    name: 'a file to the working directory',
    dockerfile: ['FROM base', 'WORKDIR /w', 'COPY a.txt .'],
  },
  {
    name: 'a file to an empty destination',
    dockerfile: ['FROM base', 'WORKDIR /w', 'ENV E=', 'COPY a.txt $E'],
  },
  { name: 'a directory to a new name', dockerfile: ['FROM scratch', 'COPY d /x'] },
  { name: 'a directory to a new directory', dockerfile: ['FROM scratch', 'COPY d /x/'] },
  { name: 'a directory with a slash', dockerfile: ['FROM scratch', 'COPY d/ /x'] },
  { name: 'a directory with a dot', dockerfile: ['FROM scratch', 'COPY d/. /x'] },
  {
    name: 'the contents of a directory',
    dockerfile: ['FROM scratch', 'COPY d/* /x/'],
    expect: { bothFail: /dangling symlink/ },
  },
  { name: 'the whole context', dockerfile: ['FROM scratch', 'COPY . .'] },
  { name: 'the whole context with a slash', dockerfile: ['FROM scratch', 'COPY / /x/'] },
  { name: 'the whole context with dot and slash', dockerfile: ['FROM scratch', 'COPY ./ ./x'] },
  { name: 'an absolute source', dockerfile: ['FROM scratch', 'COPY /d/one /x'] },
  { name: 'a source with dots inside', dockerfile: ['FROM scratch', 'COPY d/../a.txt /x'] },
  {
    name: 'a source above the context',
    dockerfile: ['FROM scratch', 'COPY ../a.txt /x'],
    expect: { divergence: 'source above the context', lktFails: /outside of the build context/ },
  },
  { name: 'two files to a directory', dockerfile: ['FROM scratch', 'COPY a.txt b.txt /x/'] },
  {
    name: 'two files to a name',
    dockerfile: ['FROM scratch', 'COPY a.txt b.txt /x'],
    expect: {
      divergence: 'several files to one name',
      lktFails: /more than one source needs a directory/,
    },
  },
  { name: 'a file and a directory', dockerfile: ['FROM scratch', 'COPY a.txt d /x/'] },
  { name: 'a pattern for one file to a name', dockerfile: ['FROM scratch', 'COPY a*.txt /x'] },
  {
    name: 'a pattern for several files to a new name',
    dockerfile: ['FROM scratch', 'COPY *.txt /x'],
    expect: { divergence: 'several files to one name', lktFails: /matches 2 files/ },
  },
  {
    name: 'a pattern for several files to an existing directory',
    dockerfile: ['FROM base', 'COPY *.txt /tmp'],
  },
  { name: 'two patterns, one without match', dockerfile: ['FROM scratch', 'COPY x*y *.txt /x/'] },
  {
    name: 'two patterns to a name',
    dockerfile: ['FROM scratch', 'COPY x*y *.txt /x'],
    expect: {
      divergence: 'several files to one name',
      lktFails: /more than one source needs a directory/,
    },
  },
  { name: 'a pattern without match', dockerfile: ['FROM base', 'COPY x*y /x/'] },
  { name: 'a pattern without match to a name', dockerfile: ['FROM base', 'COPY x*y /x'] },
  { name: 'a question mark', dockerfile: ['FROM scratch', 'COPY ?.txt /x/'] },
  { name: 'a class', dockerfile: ['FROM scratch', 'COPY [a-b].txt /x/'] },
  { name: 'a negated class', dockerfile: ['FROM scratch', 'COPY [^a].txt /x/'] },
  {
    name: 'an open class',
    dockerfile: ['FROM scratch', 'COPY [a.txt /x/'],
    expect: { bothFail: /bad pattern/ },
  },
  { name: 'a pattern in the middle', dockerfile: ['FROM scratch', 'COPY d/*/two /x/'] },
  { name: 'a pattern in the middle to a name', dockerfile: ['FROM scratch', 'COPY d/*/two /x/y'] },
  { name: 'two stars of COPY are one', dockerfile: ['FROM scratch', 'COPY d/**/two /x/'] },
  {
    name: 'a pattern does not match through a symbolic link',
    dockerfile: ['FROM scratch', 'COPY */one /x/'],
    context: { ...TREE, 'g/one': 'g\n', z: { link: 'd' } },
  },
  {
    name: 'a pattern before a symbolic link to a directory',
    dockerfile: ['FROM scratch', 'COPY */up/two /x/', 'COPY d/on* /x/'],
    context: { ...TREE, 'd/up': { link: 'e' } },
  },
  { name: 'a pattern behind a symbolic link', dockerfile: ['FROM scratch', 'COPY link/o* /x/'] },
  {
    name: 'a file that is not there',
    dockerfile: ['FROM scratch', 'COPY none /x'],
    expect: { bothFail: /none is not in the build context/ },
  },
  { name: 'a symbolic link to a directory', dockerfile: ['FROM scratch', 'COPY link /x'] },
  {
    name: 'a symbolic link to a directory with a slash',
    dockerfile: ['FROM scratch', 'COPY link/ /x'],
  },
  { name: 'a file through a symbolic link', dockerfile: ['FROM scratch', 'COPY link/one /x'] },
  { name: 'a symbolic link to a file', dockerfile: ['FROM scratch', 'COPY d/up /x'] },
  {
    name: 'a dangling symbolic link',
    dockerfile: ['FROM scratch', 'COPY d/gone /x'],
    expect: { bothFail: /dangling symlink/ },
  },
  { name: 'a pattern that matches symbolic links', dockerfile: ['FROM scratch', 'COPY d/u* /x/'] },
  { name: 'over an existing file', dockerfile: ['FROM base', 'COPY a.txt /etc/passwd'] },
  {
    name: 'a directory over an existing file',
    dockerfile: ['FROM base', 'COPY d /etc/passwd'],
    expect: { bothFail: /./ },
  },
  {
    name: 'a file over a file with a slash',
    dockerfile: ['FROM base', 'COPY a.txt /etc/passwd/'],
    expect: { bothFail: /./ },
  },
  { name: 'a file over a directory goes into it', dockerfile: ['FROM base', 'COPY a.txt /etc'] },
  {
    name: 'through a symbolic link of the image',
    dockerfile: ['FROM base', 'RUN ln -s /etc /l', 'COPY a.txt /l/'],
  },
  {
    name: 'to a symbolic link to a directory',
    dockerfile: ['FROM base', 'RUN ln -s /etc /l', 'COPY a.txt /l'],
  },
  {
    name: 'a directory to a symbolic link',
    dockerfile: ['FROM base', 'RUN ln -s /etc /l', 'COPY d /l'],
  },
  {
    name: 'a directory to a symbolic link with a slash',
    dockerfile: ['FROM base', 'RUN ln -s /etc /l', 'COPY d /l/'],
  },
  {
    name: 'a relative symbolic link above the root',
    dockerfile: ['FROM base', 'RUN ln -s ../../../etc /l', 'COPY a.txt /l/x'],
  },
  {
    name: 'over a symbolic link to a file',
    dockerfile: ['FROM base', 'RUN ln -s /etc/passwd /l', 'COPY a.txt /l'],
    expect: { divergence: 'links at the destination', files: ['etc/passwd', 'l'] },
  },
  {
    name: 'over a dangling symbolic link',
    dockerfile: ['FROM base', 'RUN ln -s /nowhere /l', 'COPY a.txt /l'],
    expect: { divergence: 'links at the destination', files: ['l', 'nowhere'] },
  },
  {
    name: 'below a dangling symbolic link',
    dockerfile: ['FROM base', 'RUN ln -s /new/dir /l', 'COPY a.txt /l/x'],
  },
  {
    name: 'a directory over a symbolic link inside',
    dockerfile: ['FROM base', 'RUN mkdir /x && ln -s /etc /x/e', 'COPY d /x'],
    expect: { bothFail: /./ },
  },
  { name: 'an owner by name', dockerfile: ['FROM base', 'COPY --chown=bin a.txt /x'] },
  { name: 'an owner with a group', dockerfile: ['FROM base', 'COPY --chown=bin:mail d /x/y'] },
  { name: 'an owner by number', dockerfile: ['FROM base', 'COPY --chown=5 d /x/y'] },
  {
    name: 'an owner and a group by number',
    dockerfile: ['FROM scratch', 'COPY --chown=5:6 d /x/y'],
  },
  { name: 'a group alone', dockerfile: ['FROM base', 'COPY --chown=:6 a.txt /x'] },
  { name: 'a large owner', dockerfile: ['FROM scratch', 'COPY --chown=123456:654321 a.txt /x'] },
  {
    name: 'an owner that is not there',
    dockerfile: ['FROM base', 'COPY --chown=nobody-here a.txt /x'],
    expect: { divergence: 'unknown owners', lktFails: /no such user or group/ },
  },
  {
    name: 'a variable as owner',
    dockerfile: ['FROM base', 'ARG O=7', 'COPY --chown=${O}:$O a.txt /x'],
  },
  {
    name: 'an owner of an existing directory',
    dockerfile: ['FROM base', 'RUN mkdir -p /x/e', 'COPY --chown=5:6 d /x'],
  },
  {
    name: 'a directory takes over mode and owner',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir -m 700 -p /x/e && chown 3:4 /x/e /x',
      'FROM base',
      'RUN mkdir -p /x/e',
      'COPY --from=s /x /x',
    ],
  },
  {
    name: 'a directory into a directory takes over mode and owner',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir -p /x/e && chmod 700 /x/e && chown 3:4 /x/e',
      'FROM base',
      'RUN mkdir -p /y/e',
      'COPY --from=s /x/ /y/',
    ],
  },
  {
    name: 'an old time of a directory that exists',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir -p /x/e && touch /x/e/f && touch -d @1000 /x/e/f /x/e /x',
      'FROM base',
      'RUN mkdir -p /x/e',
      'COPY --from=s /x /x',
    ],
    expect: { divergence: 'time of the destination', files: ['x'] },
  },
  {
    name: 'an old time of a new directory',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir -p /x/e && touch /x/e/f && touch -d @1000 /x/e/f /x/e /x',
      'FROM base',
      'COPY --from=s /x /x',
    ],
    expect: { divergence: 'time of the destination', files: ['x'] },
  },
  {
    name: 'an old time of a file',
    dockerfile: ['FROM base AS s', 'RUN touch -d @1000 /f', 'FROM scratch', 'COPY --from=s /f /f'],
  },
  { name: 'a mode', dockerfile: ['FROM scratch', 'COPY --chmod=600 a.txt /x'] },
  { name: 'a mode with special bits', dockerfile: ['FROM scratch', 'COPY --chmod=4755 run.sh /x'] },
  { name: 'mode zero', dockerfile: ['FROM scratch', 'COPY --chmod=0 a.txt /x'] },
  { name: 'a mode of a directory', dockerfile: ['FROM scratch', 'COPY --chmod=750 d /x'] },
  {
    name: 'a mode with new parents',
    dockerfile: ['FROM scratch', 'COPY --chmod=777 a.txt /p/q/x'],
  },
  {
    name: 'a mode with new parents that get no execute bit',
    dockerfile: ['FROM scratch', 'COPY --chmod=644 a.txt /p/q/'],
  },
  {
    name: 'a mode and an owner with new parents',
    dockerfile: ['FROM scratch', 'COPY --chmod=700 --chown=5:6 d /p/q'],
  },
  {
    name: 'a mode below existing parents',
    dockerfile: [
      'FROM base',
      'RUN mkdir -p /p/q && chmod 711 /p/q',
      'COPY --chmod=600 a.txt /p/q/r/x',
    ],
  },
  {
    name: 'a mode by variable',
    dockerfile: ['FROM scratch', 'ARG M=640', 'COPY --chmod=$M a.txt /x'],
    expect: { divergence: 'newer than BuildKit 0.13', files: ['x'] },
  },
  {
    name: 'a symbolic mode',
    dockerfile: ['FROM scratch', 'COPY --chmod=u=rwX,go= d /x'],
    expect: {
      divergence: 'newer than BuildKit 0.13',
      files: ['x/e', 'x/e/f', 'x/e/f/three', 'x/e/two', 'x/one'],
    },
  },
  {
    name: 'an invalid mode',
    dockerfile: ['FROM scratch', 'COPY --chmod=64a a.txt /x'],
    expect: { divergence: 'invalid modes', lktFails: /not a file mode/ },
  },
  {
    name: 'a mode that is too large',
    dockerfile: ['FROM scratch', 'COPY --chmod=10000 a.txt /x'],
    expect: { divergence: 'invalid modes', lktFails: /not a file mode/ },
  },
  { name: 'the JSON form', dockerfile: ['FROM scratch', 'COPY ["a.txt", "b.txt", "/x y/"]'] },
  {
    name: 'names with blanks',
    dockerfile: ['FROM scratch', 'COPY ["a b", "/c d"]'],
    context: { 'a b': 'x' },
  },
  {
    name: 'names that are not ASCII',
    dockerfile: ['FROM scratch', 'COPY grün /größe/'],
    context: { grün: 'x' },
  },
  { name: 'a long name', dockerfile: ['FROM scratch', `COPY a.txt /${'long-'.repeat(40)}`] },
  { name: 'a long path', dockerfile: ['FROM scratch', `COPY a.txt /${'directory/'.repeat(30)}x`] },
  {
    name: 'an escaped blank',
    dockerfile: ['FROM scratch', 'COPY a\\ b /x'],
    context: { 'a b': 'x' },
    expect: { bothFail: /./ },
  },
  {
    name: 'a literal bracket',
    dockerfile: ['FROM scratch', 'COPY [[]x.txt /x'],
    context: { '[x.txt': 'x' },
  },
  { name: 'the same file twice', dockerfile: ['FROM scratch', 'COPY a.txt a.txt /x/'] },
  {
    name: 'the last of two files wins',
    dockerfile: ['FROM scratch', 'COPY a.txt d/x/a.txt /y/'],
    context: { 'd/x/a.txt': 'other\n' },
  },
  { name: 'a variable as source', dockerfile: ['FROM scratch', 'ENV F=a.txt', 'COPY $F /x'] },
  { name: 'a variable in a pattern', dockerfile: ['FROM scratch', 'ARG E=txt', 'COPY *.$E /x/'] },
  {
    name: 'the name of a whiteout in the context',
    dockerfile: ['FROM base', 'COPY x /etc/'],
    context: { 'x/.wh.passwd': '' },
    expect: { divergence: 'names of whiteouts', lktFails: /deleted file/ },
  },
  {
    name: 'an empty variable as source',
    dockerfile: ['FROM scratch', 'ARG E', 'COPY $E /x/'],
    expect: { divergence: 'empty values', lktFails: /is empty after expanding/ },
  },
  {
    name: 'a URL',
    dockerfile: ['FROM scratch', 'COPY https://example.invalid/x /x'],
    expect: { bothFail: /COPY does not accept URLs/ },
  },
  { name: 'an unchanged file again', dockerfile: ['FROM base', 'COPY a.txt /x', 'COPY a.txt /x'] },
  { name: 'with --link', dockerfile: ['FROM base', 'COPY --link a.txt /x/y/'] },
  {
    name: 'with --link to the working directory',
    dockerfile: ['FROM base', 'WORKDIR /v/w', 'COPY --link a.txt .'],
  },
  {
    name: 'with --link to an empty destination',
    dockerfile: ['FROM base', 'WORKDIR /v/w', 'ENV E=', 'COPY --link a.txt $E'],
  },
  { name: 'with --link=false', dockerfile: ['FROM base', 'COPY --link=false a.txt /x/'] },
  {
    name: 'with --link from a stage',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir -p /o/p && echo x > /o/p/q',
      'FROM base',
      'COPY --link --from=s /o /n',
    ],
  },
];

/** COPY: sources, destinations, owners and modes. */
export const COPY_CASES: readonly OwnCase[] = CASES.map((item) => ({
  ...item,
  context: { ...TREE, ...item.context },
}));
