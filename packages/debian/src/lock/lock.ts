import { type Digest, isSha256, type LktError, type SourceFile, sourceError } from '@lkt/core';
import type { ArchiveName } from '../archive/mirror.ts';
import { isArchitecture, isPoolPath, isSize } from '../archive/packages-index.ts';
import { isVersion } from './version.ts';

/** A request for Debian packages. */
export interface DebianSpec {
  /** `trixie`; includes its updates and security updates. */
  readonly suite: string;
  /** Default: `main`. */
  readonly components?: readonly string[];
  /** Debian's name: `amd64`. */
  readonly architecture: string;
  /** Names, or relations such as `gcc-14 (= 14.2.0-19)`. */
  readonly packages: readonly string[];
  /** Packages that satisfy dependencies but are left out. */
  readonly without?: readonly string[];
  /** Take only `packages`, without their dependencies. */
  readonly noDependencies?: boolean;
  /** Source packages whose upstream tarballs to include. */
  readonly sources?: readonly string[];
}

/** A binary package, or the upstream tarball of a source package, pinned by its digest. */
export interface LockedPackage {
  /** For a source package: `src:NAME`. */
  readonly name: string;
  readonly version: string;
  /** For a source package: `source`. */
  readonly architecture: string;
  readonly archive: ArchiveName;
  /** Below the archive's URL: `pool/…`. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

/** The exact packages of an image: the request and its resolution. */
export interface DebianLock {
  readonly suite: string;
  readonly architecture: string;
  /** The request, in one line. */
  readonly request: string;
  /** Sorted by name. */
  readonly packages: readonly LockedPackage[];
}

/** Prefix of source package names, as Debian writes them beside binary ones. */
export const SOURCE_PREFIX = 'src:';
/** Architecture of source packages (Debian policy §5.6.8). */
export const SOURCE_ARCHITECTURE = 'source';

const TITLE = '# Written by `lkt pkg lock`.';

/**
 * Formats a lock file: one line per package, sorted by name, so that diffs show what an update
 * changed. Equal locks give equal text.
 */
export function formatLock(lock: DebianLock): string {
  const lines = lock.packages
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, version, architecture, size, digest, archive, path }) =>
      [name, version, architecture, `${archive}/${path}`, size, digest].join(' '),
    );
  return [
    TITLE,
    `suite ${lock.suite}`,
    `architecture ${lock.architecture}`,
    `request ${lock.request}`,
    '',
    ...lines,
    '',
  ].join('\n');
}

/**
 * Parses a lock file written by `formatLock`.
 * @throws CONFIG_INVALID with line and column
 */
export function parseLock(file: SourceFile): DebianLock {
  const lines = file.text.split('\n');
  const ended = lines.findIndex((line) => line.endsWith('\r'));
  if (ended !== -1) {
    const place = { line: ended + 1, column: lines[ended]?.length ?? 1 };
    throw sourceError('CONFIG_INVALID', file, place, 'the line ends in CR LF, not in LF', {
      fix: 'convert the file, and add to .gitattributes: *.lock eol=lf',
    });
  }
  const header = (line: number, key: string): string => {
    const text = lines[line - 1] ?? '';
    if (!text.startsWith(`${key} `)) throw invalid(file, line, 1, `expected "${key} …"`);
    return text.slice(key.length + 1);
  };
  if (lines[0] !== TITLE) throw invalid(file, 1, 1, 'not a lock file');
  const suite = header(2, 'suite');
  const architecture = header(3, 'architecture');
  const request = header(4, 'request');
  if (lines[4] !== '') throw invalid(file, 5, 1, 'expected an empty line');
  if (lines.at(-1) !== '')
    throw invalid(file, lines.length, 1, 'the file is truncated: its last line has no newline');
  const packages: LockedPackage[] = [];
  for (const [index, line] of lines.slice(5, -1).entries()) {
    const item = parseLine(file, index + 6, line);
    const { name } = item;
    const fail = (problem: string): LktError => invalid(file, index + 6, 1, `"${name}" ${problem}`);
    if ((packages.at(-1)?.name ?? '') >= name) throw fail('is duplicated or out of order');
    const isSource = item.architecture === SOURCE_ARCHITECTURE;
    if (isSource !== name.startsWith(SOURCE_PREFIX))
      throw fail(`cannot have the architecture ${item.architecture}`);
    if (!isSource && item.architecture !== architecture && item.architecture !== 'all')
      throw fail(`is not for ${architecture}`);
    packages.push(item);
  }
  return { suite, architecture, request, packages };
}

function parseLine(file: SourceFile, line: number, text: string): LockedPackage {
  const fields = text.split(' ');
  const fail = (field: number, expected: string): LktError => {
    const column = fields.slice(0, field).reduce((sum, { length }) => sum + length + 1, 1);
    return invalid(file, line, Math.min(column, text.length + 1), `expected ${expected}`);
  };
  const [name = '', version = '', architecture = '', location = '', size = '', digest = ''] =
    fields;
  if (!/^(?:src:)?[a-z0-9][a-z0-9+.-]*$/.test(name)) throw fail(0, 'the name of a package');
  if (!isVersion(version)) throw fail(1, 'a version');
  if (!isArchitecture(architecture)) throw fail(2, 'an architecture');
  const [, archive, path] = /^(debian|debian-security)\/(.+)$/.exec(location) ?? [];
  if (archive === undefined || path === undefined || !isPoolPath(path))
    throw fail(3, 'a path such as debian/pool/main/b/bash/bash_5.2_amd64.deb');
  if (!isSize(size)) throw fail(4, 'a size in bytes');
  if (!isSha256(digest)) throw fail(5, 'a sha256 digest');
  if (fields.length > 6) throw fail(6, 'the end of the line');
  return {
    name,
    version,
    architecture,
    archive: archive as ArchiveName,
    path,
    size: Number(size),
    digest,
  };
}

function invalid(
  file: SourceFile,
  line: number,
  column: number,
  message: string,
  directory = 'DIR',
): LktError {
  const fix = `run lkt pkg lock ${directory}`;
  return sourceError('CONFIG_INVALID', file, { line, column }, message, { fix });
}

/** Formats the request of a specification in one line; the order of its lists does not matter. */
export function formatRequest(spec: DebianSpec): string {
  const { packages, without, noDependencies, sources, components } = spec;
  const part = (name: string, values: readonly string[] = []): string[] =>
    values.length === 0 ? [] : [`${name}=${list(values)}`];
  return [
    `packages=${list(packages)}`,
    ...part('without', without),
    ...(noDependencies === true ? ['no-dependencies'] : []),
    ...part('sources', sources),
    ...part('components', components),
  ].join(' ');
}

function list(values: readonly string[]): string {
  const unique = new Set(values.map((value) => value.replaceAll(/\s+/g, '')));
  return [...unique].toSorted().join(',');
}

/**
 * Checks that a lock resolves a specification.
 * @throws CONFIG_INVALID, whose fix is the command that updates the lock
 */
export function checkLock(
  lock: DebianLock,
  spec: DebianSpec,
  file: SourceFile,
  directory: string,
): void {
  const headers: readonly [line: number, expected: string, found: string][] = [
    [2, spec.suite, lock.suite],
    [3, spec.architecture, lock.architecture],
    [4, formatRequest(spec), lock.request],
  ];
  for (const [line, expected, found] of headers) {
    if (expected === found) continue;
    throw invalid(file, line, 1, 'the lock does not match build.yml', directory);
  }
}
