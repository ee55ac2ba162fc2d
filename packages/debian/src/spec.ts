import { LktError, type YamlValue } from '@lkt/core';
import type { AssembleOptions, StatedDirectory, StatedFile } from './assemble.ts';
import type { DebianSpec } from './lock.ts';
import { parseAlternative } from './relation.ts';

/** The `debian:` block of a build.yml. The architecture comes from elsewhere. */
export interface DebianBlock extends Omit<DebianSpec, 'architecture'>, AssembleOptions {}

const KEYS = [
  'suite',
  'components',
  'packages',
  'without',
  'noDependencies',
  'exclude',
  'include',
  'links',
  'files',
  'directories',
] as const;

/**
 * Reads the `debian:` block of a build.yml.
 * @throws LktError CONFIG_INVALID with line and column
 */
export function parseDebianSpec(value: YamlValue): DebianBlock {
  const fields = value.fields(KEYS);
  if (fields.suite === undefined)
    throw value.error('"suite" is missing', { fix: 'add: suite: trixie' });
  if (fields.packages === undefined) throw value.error('"packages" is missing');
  const { components, without, noDependencies, exclude, include, links, files, directories } =
    fields;
  const paths = new Set<string>();
  const block: DebianBlock = {
    suite: matching(fields.suite, /^[a-z][a-z0-9-]*$/, 'the name of a suite, such as trixie'),
    packages: strings(fields.packages, checkRelation),
    ...(components && { components: strings(components, checkComponent) }),
    ...(without && { without: strings(without, checkName) }),
    ...(noDependencies && { noDependencies: noDependencies.boolean() }),
    ...(exclude && { exclude: strings(exclude) }),
    ...(include && { include: strings(include) }),
    ...(directories && { directories: directories.list().map((item) => directory(item, paths)) }),
    ...(files && { files: files.list().map((item) => file(item, paths)) }),
    ...(links && { links: parseLinks(links, paths) }),
  };
  if (block.packages.length === 0) throw fields.packages.error('expected at least one package');
  return block;
}

function parseLinks(value: YamlValue, taken: Set<string>): ReadonlyMap<string, string> {
  return new Map(
    [...value.entries()].map(([path, target]) => {
      const text = target.string();
      if (text === '' || text.includes('\0')) throw target.error('expected the target of the link');
      return [take(path, target, taken), text];
    }),
  );
}

function file(value: YamlValue, taken: Set<string>): StatedFile {
  const { path, contents, mode } = value.fields(['path', 'contents', 'mode']);
  if (path === undefined) throw value.error('"path" is missing');
  if (contents === undefined) throw value.error('"contents" is missing');
  return {
    path: take(path.string(), path, taken),
    contents: contents.string(),
    ...(mode && { mode: octal(mode, 0o777) }),
  };
}

function directory(value: YamlValue, taken: Set<string>): StatedDirectory {
  const { path, mode } = value.fields(['path', 'mode']);
  if (path === undefined) throw value.error('"path" is missing');
  return {
    path: take(path.string(), path, taken),
    ...(mode && { mode: octal(mode, 0o1777) }),
  };
}

/** A path in the image, stated once. */
function take(path: string, value: YamlValue, taken: Set<string>): string {
  const parts = path.replace(/^\/+/, '').replace(/\/+$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
    throw value.error(`"${path}" is not a path in the image`, { fix: 'write it as /etc/hosts' });
  const plain = parts.join('/');
  if (taken.has(plain)) throw value.error(`"${path}" is stated twice`);
  taken.add(plain);
  return plain;
}

/** As chmod takes it, with or without quotes; what a file may not have (setuid, setgid) is refused. */
function octal(value: YamlValue, allowed: number): number {
  const digits = /^0?o?([0-7]{3,4})$/.exec(value.text())?.[1];
  if (digits === undefined) throw value.error('expected a mode such as 0644');
  const mode = Number.parseInt(digits, 8);
  if ((mode & ~allowed) !== 0)
    throw value.error(`expected a mode within 0${allowed.toString(8)}`, {
      fix: 'leave out the setuid and setgid bits',
    });
  return mode;
}

function strings(value: YamlValue, check?: (item: YamlValue) => void): string[] {
  const seen = new Set<string>();
  return value.list().map((item) => {
    const text = item.string();
    if (text.trim() === '') throw item.error('expected some text');
    if (seen.has(text)) throw item.error(`"${text}" is in the list twice`);
    seen.add(text);
    check?.(item);
    return text;
  });
}

function checkRelation(item: YamlValue): void {
  try {
    parseAlternative(item.string());
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw item.error(`"${item.string()}" is not a package`, {
      fix: 'write a name, or a name and a version: make, make (= 4.4.1-2)',
    });
  }
}

function checkName(item: YamlValue): void {
  matching(item, /^[a-z0-9][a-z0-9+.-]+$/, 'the name of a package');
}

function checkComponent(item: YamlValue): void {
  matching(item, /^[a-z][a-z-]*$/, 'a component, such as main');
}

function matching(value: YamlValue, pattern: RegExp, expected: string): string {
  const text = value.string();
  if (!pattern.test(text)) throw value.error(`expected ${expected}`);
  return text;
}
