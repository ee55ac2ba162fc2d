import { nearest } from '@lkt/core';
import type { Flag, Mount, MountType, Word } from './ast.ts';
import { nameAndValue } from './raw-words.ts';
import type { SourceText } from './source-text.ts';

const TYPES: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];

/** The names of options, with their aliases. */
const ALIASES = {
  type: 'type',
  from: 'from',
  source: 'source',
  src: 'source',
  target: 'target',
  dst: 'target',
  destination: 'target',
  readonly: 'readonly',
  ro: 'readonly',
  readwrite: 'readwrite',
  rw: 'readwrite',
  id: 'id',
  sharing: 'sharing',
  required: 'required',
  env: 'env',
  mode: 'mode',
  uid: 'uid',
  gid: 'gid',
  size: 'size',
} as const;

type Key = (typeof ALIASES)[keyof typeof ALIASES];

/** The options of each type besides `type` and `target` (Dockerfile reference, "RUN --mount"). */
const ALLOWED: Readonly<Record<MountType, readonly Key[]>> = {
  bind: ['from', 'source', 'readonly', 'readwrite'],
  cache: ['from', 'source', 'readonly', 'readwrite', 'id', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['size', 'readwrite'],
  secret: ['id', 'required', 'env', 'mode', 'uid', 'gid', 'source', 'readonly'],
  ssh: ['id', 'required', 'mode', 'uid', 'gid', 'readonly'],
};

/** Options that may be written without a value. */
const SWITCHES: readonly Key[] = ['readonly', 'readwrite', 'required'];

/**
 * Parses the options of a `--mount`. Without `expand`, variables are not known yet. An option with
 * a variable then gets its default if its values are limited. With a variable type, `type` is
 * undefined and options are not checked against it.
 * @param expand replaces the variables in an option
 * @throws DOCKERFILE_INVALID for unknown, misplaced and missing options
 */
export function parseMount(
  flag: Flag,
  source: SourceText,
  expand?: (text: string) => string,
): Mount {
  const fail = (message: string, fix?: string): never => {
    throw source.error(flag, message, fix);
  };
  const options = new Map<Key, string | undefined>();
  for (const field of splitCsv(flag.value ?? '', fail)) {
    const [written, given] = nameAndValue(field);
    const key = keyOf(written, fail);
    const value = given === undefined || key === 'from' ? given : (expand?.(given) ?? given);
    if (value === undefined && !SWITCHES.includes(key))
      return fail(`the --mount option ${key} has no value`, `write ${key}=VALUE`);
    options.set(key, value);
  }

  const isUnknown = (key: Key): boolean =>
    expand === undefined && (options.get(key) ?? '').includes('$');
  const type = isUnknown('type')
    ? undefined
    : oneOf('type', options.get('type')?.toLowerCase() ?? 'bind', TYPES, fail);
  for (const key of options.keys())
    if (type !== undefined && key !== 'type' && key !== 'target' && !ALLOWED[type].includes(key))
      return fail(`--mount=type=${type} has no option "${key}"`, 'remove it, or change the type');
  const target = options.get('target');
  if (type === 'secret' && target === undefined && !options.has('id'))
    return fail('--mount=type=secret needs an id or a target', 'add id=NAME');
  const boolean = (key: Key, fallback: boolean): boolean => {
    if (!options.has(key) || isUnknown(key)) return fallback;
    const text = (options.get(key) ?? 'true').toLowerCase();
    return ['true', '1'].includes(oneOf(key, text, ['true', 'false', '1', '0'], fail));
  };
  const isWritable = boolean('readwrite', type !== 'bind');
  const sharing = isUnknown('sharing') ? 'shared' : (options.get('sharing') ?? 'shared');
  return {
    flag,
    type,
    from: fromWord(flag, options.get('from'), source, fail),
    source: options.get('source'),
    target,
    readOnly: options.has('readonly') ? boolean('readonly', true) : !isWritable,
    id: options.get('id'),
    sharing: oneOf('sharing', sharing, ['shared', 'private', 'locked'], fail),
    required: boolean('required', false),
    env: options.get('env'),
    mode: options.get('mode'),
    uid: options.get('uid'),
    gid: options.get('gid'),
    size: options.get('size'),
  };
}

type Fail = (message: string, fix?: string) => never;

function keyOf(written: string, fail: Fail): Key {
  const name = written.toLowerCase();
  if (isName(name)) return ALIASES[name];
  const near = nearest(written, Object.keys(ALIASES));
  return fail(
    `--mount has no option "${written}"`,
    near === undefined ? 'see RUN --mount in the Dockerfile reference' : `did you mean ${near}?`,
  );
}

function isName(name: string): name is keyof typeof ALIASES {
  return Object.hasOwn(ALIASES, name);
}

function oneOf<T extends string>(key: string, value: string, values: readonly T[], fail: Fail): T {
  const found = values.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  const near = nearest(value, values);
  return fail(
    `"${value}" is not a valid value for the --mount option ${key}`,
    near === undefined ? `use one of: ${values.join(', ')}` : `did you mean ${near}?`,
  );
}

function fromWord(
  flag: Flag,
  text: string | undefined,
  source: SourceText,
  fail: Fail,
): Word | undefined {
  // An empty one is the default, as in BuildKit.
  if (text === undefined || text === '') return undefined;
  if (text.includes('$'))
    return fail(
      'variables are not expanded in the --mount option from',
      'add a stage FROM the image, and use its name here',
    );
  const written = source.file.text.slice(flag.offset, flag.offset + flag.length);
  const [found, ...others] = written.matchAll(/(?<=^|[=,"])from=/gi);
  const start = found === undefined ? -1 : found.index + 'from='.length;
  // Another option can contain the same text: lkt pin must not write into that.
  if (others.length > 0 || !written.startsWith(text, start))
    return { text, position: flag.position, offset: flag.offset, length: flag.length };
  const offset = flag.offset + start;
  return { text, ...source.span(offset, offset + text.length) };
}

/**
 * Splits one line of RFC 4180: fields between commas, quotes around a field with commas, `""` for a
 * quote. Text after a closing quote belongs to the field.
 */
function splitCsv(text: string, fail: Fail): readonly string[] {
  const fields: string[] = [];
  const pattern = /(?:"([^"]*(?:""[^"]*)*)")?([^,]*),?/g;
  for (const [, quoted = '', rest = ''] of text.matchAll(pattern)) {
    if (rest.startsWith('"')) return fail('--mount has an unclosed quote', 'close the quote');
    const field = quoted.replaceAll('""', '"') + rest;
    if (field !== '') fields.push(field.trim());
  }
  return fields;
}
