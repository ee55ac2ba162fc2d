import {
  boolean,
  list,
  LktError,
  mapping,
  optional,
  record,
  required,
  scalar,
  text,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import type { AssembleOptions, DeclaredDirectory, DeclaredFile } from '../assemble/assemble.ts';
import type { DebianSpec } from './lock.ts';
import { parseAlternative } from './relation.ts';

/** The `debian:` block of a build.yml. The platform of the build determines the architecture. */
export interface DebianBlock extends Omit<DebianSpec, 'architecture'>, AssembleOptions {}

const SUITE = matching(/^[a-z][a-z0-9-]*$/, 'the name of a suite, such as trixie');
const NAME = matching(/^[a-z0-9][a-z0-9+.-]+$/, 'the name of a package');
const COMPONENT = matching(/^[a-z][a-z-]*$/, 'a component, such as main');

const RELATION = text().transform((relation, item) => {
  try {
    parseAlternative(relation);
    return relation;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw item.error(`"${relation}" is not a package`, {
      fix: 'write a name, or a name and a version: make, make (= 4.4.1-2)',
    });
  }
});

/** A path in the image, without leading slash. */
const PATH: YamlType<string> = text().transform(plainPath);

/** An octal mode, with or without quotes; rejects bits outside `allowed`, such as setuid. */
function mode(allowed: number): YamlType<number> {
  return scalar.transform((given, value) => {
    const digits = /^0?o?([0-7]{3,4})$/.exec(given)?.[1];
    if (digits === undefined) throw value.error('expected a mode such as 0644');
    const bits = Number.parseInt(digits, 8);
    if ((bits & ~allowed) !== 0)
      throw value.error(`expected a mode within 0${allowed.toString(8)}`, {
        fix: 'leave out the setuid and setgid bits',
      });
    return bits;
  });
}

const LINKS: YamlType<ReadonlyMap<string, string>> = mapping(
  text().transform((target, value) => {
    if (target === '' || target.includes('\0'))
      throw value.error('expected the target of the link');
    return target;
  }),
);

const FILES: YamlType<readonly DeclaredFile[]> = list(
  record({
    path: required(PATH, 'in the image'),
    contents: required(text(), 'the text of the file'),
    mode: optional(mode(0o777), 'octal, as for chmod; 0644'),
  }),
);

const DIRECTORIES: YamlType<readonly DeclaredDirectory[]> = list(
  record({
    path: required(PATH, 'in the image'),
    mode: optional(mode(0o1777), 'octal, as for chmod; 0755'),
  }),
);

/** The type of the `debian:` block in build.yml. */
export const DEBIAN: YamlType<DebianBlock> = record({
  suite: required(SUITE, 'trixie', 'add: suite: trixie'),
  packages: optional(
    distinct(RELATION).transform((packages, value) => {
      if (packages.length === 0) throw value.error('expected at least one package');
      return packages;
    }),
    'names, or names with a version: make (= 4.4.1-2)',
  ),
  sources: optional(
    distinct(RELATION),
    'source packages whose upstream tarball is put into /usr/src, not unpacked',
  ),
  components: optional(distinct(COMPONENT), 'components of the archive; main'),
  without: optional(distinct(NAME), 'packages that satisfy dependencies but are left out'),
  noDependencies: optional(boolean, 'take only packages, without their dependencies'),
  exclude: optional(distinct(text()), 'globs of paths to leave out'),
  include: optional(distinct(text()), 'globs of paths to keep despite exclude'),
  directories: optional(DIRECTORIES, 'directories to create'),
  files: optional(FILES, 'files to write'),
  links: optional(LINKS, 'symbolic links: path to target'),
}).transform(({ links, packages = [], ...rest }, value) => {
  if (packages.length === 0 && (rest.sources ?? []).length === 0)
    throw value.error('"packages" is missing', { fix: 'add: packages: [bash]' });
  const block = { ...rest, packages };
  const fields = value.entries();
  const taken = new Set<string>();
  const take = (path: string, written: string, at: YamlValue): void => {
    if (taken.has(path)) throw at.error(`"${written}" is declared twice`);
    taken.add(path);
  };
  for (const key of ['directories', 'files'] as const)
    for (const [index, { path }] of (block[key] ?? []).entries()) {
      const at = fields.get(key)?.list()[index]?.entries().get('path') ?? value;
      take(path, at.string(), at);
    }
  if (links === undefined) return block;
  const entries = [...links].map(([path, target]) => {
    const at = fields.get('links')?.entries().get(path) ?? value;
    const plain = plainPath(path, at);
    take(plain, path, at);
    return [plain, target] as const;
  });
  return { ...block, links: new Map(entries) };
});

function plainPath(path: string, value: YamlValue): string {
  const parts = path.replace(/^\/+/, '').replace(/\/+$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
    throw value.error(`"${path}" is not a path in the image`, { fix: 'write it as /etc/hosts' });
  return parts.join('/');
}

/** A list of non-empty strings without duplicates. */
function distinct(item: YamlType<string>): YamlType<string[]> {
  return list(
    item.transform((entry, at) => {
      if (entry.trim() === '') throw at.error('expected a non-empty text');
      return { entry, at };
    }),
  ).transform((entries) => {
    const seen = new Set<string>();
    for (const { entry, at } of entries) {
      if (seen.has(entry)) throw at.error(`"${entry}" is listed twice`);
      seen.add(entry);
    }
    return [...seen];
  });
}

function matching(matches: RegExp, expected: string): YamlType<string> {
  return text({ matches, problem: () => `expected ${expected}` });
}
