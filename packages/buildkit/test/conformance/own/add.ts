import type { EntryWithContent } from '@lkt/oci';
import { directory, file, link } from '../../../../builder/test/fixture.ts';
import type { OwnCase } from '../own-case.ts';

const files = (): EntryWithContent[] => [
  { ...directory('d', 0o750), uid: 3, gid: 4 },
  { ...file('d/f', 'f\n', 0o640), uid: 5, gid: 6 },
  link('d/l', 'f'),
  { ...file('old', 'old\n'), mtime: 1000 },
];
const named = (path: string): EntryWithContent => file(path, `${path}\n`);

const CASES: readonly OwnCase[] = [
  { name: 'a file', dockerfile: ['FROM scratch', 'ADD plain /x/'], context: { plain: 'p\n' } },
  { name: 'a directory', dockerfile: ['FROM scratch', 'ADD d /x'], context: { 'd/a': 'p\n' } },
  { name: 'an archive', dockerfile: ['FROM scratch', 'ADD a.tar /x/'] },
  { name: 'an archive without a slash', dockerfile: ['FROM scratch', 'ADD a.tar /x'] },
  { name: 'an archive into the root', dockerfile: ['FROM base', 'ADD a.tar /'] },
  {
    name: 'an archive into the working directory',
    dockerfile: ['FROM base', 'WORKDIR /w', 'ADD a.tar .'],
  },
  { name: 'a compressed archive', dockerfile: ['FROM scratch', 'ADD a.tgz /x/'] },
  {
    name: 'an archive with another name',
    dockerfile: ['FROM scratch', 'ADD data /x/'],
    context: { data: { tar: files } },
  },
  { name: 'an archive by pattern', dockerfile: ['FROM scratch', 'ADD *.tgz /x/'] },
  { name: 'two archives', dockerfile: ['FROM scratch', 'ADD a.tar b.tar /x/'] },
  {
    name: 'an archive in a directory stays one',
    dockerfile: ['FROM scratch', 'ADD d /x/'],
    context: { 'd/a.tar': { tar: files } },
  },
  { name: 'COPY does not unpack', dockerfile: ['FROM scratch', 'COPY a.tar /x/'] },
  {
    name: 'an archive with an owner',
    dockerfile: ['FROM base', 'ADD --chown=bin:7 a.tar /x/'],
    expect: { divergence: 'owner of an archive', files: ['x/d', 'x/d/f', 'x/d/l', 'x/old'] },
  },
  {
    name: 'an archive over files',
    dockerfile: [
      'FROM base',
      'RUN mkdir -m 700 -p /x/d && echo 1 > /x/d/f && echo 2 > /x/d/g',
      'ADD a.tar /x/',
    ],
  },
  {
    name: 'an archive over a link',
    dockerfile: ['FROM base', 'RUN mkdir /y && ln -s /y /x', 'ADD a.tar /x/'],
  },
  {
    name: 'an archive over a link inside',
    dockerfile: ['FROM base', 'RUN mkdir -p /y /x && ln -s /y /x/d', 'ADD b.tar /x/'],
    expect: { divergence: 'links in the way of an archive', buildkitFails: /no such file/ },
  },
  {
    name: 'parents that an archive leaves out',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [named('p/q/r')] } },
  },
  {
    name: 'absolute names in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [named('/p'), named('//q/r'), directory('/s/')] } },
  },
  {
    name: 'names with a dot in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [directory('./'), named('./p'), named('./q/./r')] } },
  },
  {
    name: 'names with two dots in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [named('../p')] } },
    expect: { divergence: 'dots in an archive', lktFails: /\.\./ },
  },
  {
    name: 'two dots inside of a name in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [directory('d'), named('d/../p')] } },
    expect: { divergence: 'dots in an archive', lktFails: /\.\./ },
  },
  {
    name: 'the name of a whiteout in an archive',
    dockerfile: ['FROM base', 'ADD n.tar /etc/'],
    context: { 'n.tar': { tar: () => [named('.wh.passwd')] } },
    expect: { divergence: 'names of whiteouts', lktFails: /deleted file/ },
  },
  {
    name: 'an absolute link in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [link('l', '/etc/passwd')] } },
  },
  {
    name: 'a hard link in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: {
      'n.tar': {
        tar: () => [
          named('p'),
          { ...named('q'), type: 'hardlink', link: 'p', size: 0, content: undefined },
        ],
      },
    },
  },
  {
    name: 'an absolute hard link in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: {
      'n.tar': {
        tar: () => [
          named('p'),
          { ...named('q'), type: 'hardlink', link: '/p', size: 0, content: undefined },
        ],
      },
    },
  },
  {
    name: 'one name twice in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [named('p'), file('p', 'second\n', 0o600)] } },
  },
  {
    name: 'special bits in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': { tar: () => [file('p', 'p', 0o6755), directory('t', 0o1777)] } },
  },
  {
    name: 'attributes of users in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: {
      'n.tar': {
        tar: () => [{ ...named('p'), xattrs: new Map([['user.note', Buffer.from('n')]]) }],
      },
    },
    expect: { divergence: 'extended attributes', files: ['x/p'] },
  },
  {
    name: 'capabilities in an archive',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: {
      'n.tar': {
        tar: () => [
          {
            ...named('p'),
            xattrs: new Map([
              [
                'security.capability',
                Buffer.from('0100000200200000000000000000000000000000', 'hex'),
              ],
            ]),
          },
        ],
      },
    },
  },
  {
    name: 'a broken archive is a file',
    dockerfile: ['FROM scratch', 'ADD n.tar /x/'],
    context: { 'n.tar': 'no archive at all\n' },
  },
];

const COMMON = {
  'a.tar': { tar: files },
  'a.tgz': { tar: files, gzip: true },
  'b.tar': { tar: () => [named('d/g'), named('e')] },
} as const;

/** ADD of files and of archives. */
export const ADD_CASES: readonly OwnCase[] = CASES.map((item) => ({
  ...item,
  context: { ...COMMON, ...item.context },
}));
