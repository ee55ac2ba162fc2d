import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  digestOf,
  didYouMean,
  isErrno,
  kindOfFile,
  LktError,
  parseYaml,
  type SourceFile,
  type YamlValue,
} from '@lkt/core';
import { formatReference } from '@lkt/oci';
import type { FileState } from '@lkt/pkg';
import {
  type ConfigHead,
  imageReferencesOf,
  type Include,
  mapReferences,
  mergeConfigs,
  readConfig,
  readHead,
  type SystemConfig,
} from './config.ts';
import { isFile } from '../trust/parse-trust.ts';
import { errorAt } from './fields.ts';
import {
  type ConfigLock,
  isLockPath,
  type LockFile,
  lockPathOf,
  parseLock,
  readLock,
} from './lock.ts';

/** An image config with its absolute path. */
export interface ConfigFile extends SourceFile {
  readonly absolute: string;
  /** Downloaded: it may not name files of this host. */
  readonly isRemote?: boolean;
  /** Read from a stream, so no file is beside it. */
  readonly isStream?: boolean;
  /** Its lock file, instead of the one on disk. */
  readonly lock?: LockFile;
}

/** Options of loading configs. */
export interface LoadOptions {
  /** Values of variables; they override those in configs. */
  readonly set?: ReadonlyMap<string, string>;
}

/** Merged configs, including their includes. */
export interface LoadedConfig {
  readonly config: SystemConfig;
  /** Every file, in merge order. */
  readonly files: readonly ConfigFile[];
  /** The lock files beside them. */
  readonly locks: ReadonlyMap<ConfigFile, ConfigLock>;
  /** Files that declare variables: their references depend on `set`. */
  readonly hasVariables: (file: ConfigFile) => boolean;
  /** Problems that do not prevent a build, such as entries of lock files without a use. */
  readonly warnings: readonly string[];
  /** Values of the variables. */
  readonly variables: ReadonlyMap<string, string>;
  /** Returns the file of a value. */
  readonly fileOf: (value: YamlValue) => ConfigFile;
}

/** Bytes of a config that a person writes. */
const MAX_SIZE = 16 * 2 ** 20;
const MAX_DEPTH = 20;
const MAX_FILES = 1000;

/**
 * Reads configs, their includes and lock files, substitutes variables, and merges all from left to
 * right, includes before the files that include them.
 * @throws LktError CONFIG_INVALID, REFERENCE_INVALID with line and column; NOT_FOUND for a missing
 * include; UNSUPPORTED for a downloaded config that names files of this host; USAGE_INVALID for an
 * undeclared variable
 */
export async function loadConfig(
  given: readonly SourceFile[],
  { set = new Map() }: LoadOptions = {},
): Promise<LoadedConfig> {
  const documents: Document[] = [];
  for (const file of given) await load(asConfigFile(file), [], documents);
  const variables = valuesOf(documents, set);
  const foreign = foreignValues(documents, set);
  for (const { root, head, file } of documents)
    if (head.variables !== undefined)
      substitute(root, head.variables, variables, file.isRemote === true ? undefined : foreign);
  const files = documents.map(({ file }) => file);
  const locks = await locksOf(files);
  const used = new Set<YamlValue>();
  const config = mergeConfigs(
    documents.map(({ root, file }) => withLock(readConfig(root), locks.get(file), used)),
  );
  const fileOf = (value: YamlValue): ConfigFile => {
    const file = files.find((candidate) => candidate === value.file);
    if (file === undefined) throw new Error(`${value.file.path} is not one of the configs`);
    return file;
  };
  checkRemote(config, fileOf);
  const definite = [...variables].filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const hasVariables = (file: ConfigFile): boolean =>
    documents.some((document) => document.file === file && document.head.variables !== undefined);
  const warnings = [...locks].flatMap(([file, lock]) =>
    hasVariables(file) ? [] : unusedEntries(file, lock, used),
  );
  const definiteVariables = new Map(definite);
  return { config, files, locks, hasVariables, warnings, variables: definiteVariables, fileOf };
}

/** Returns all files of a config: itself, its includes and their lock files. */
export function inputFiles({ files, locks }: LoadedConfig): readonly ConfigFile[] {
  return [...files, ...[...locks.values()].map(({ file }) => file)];
}

/** Returns the states of all files of a config, and of missing lock files, for the action cache. */
export function inputStates(loaded: LoadedConfig): ReadonlyMap<string, FileState> {
  const states = new Map<string, FileState>();
  for (const file of loaded.files)
    if (!loaded.locks.has(file)) states.set(lockPathOf(file.absolute), 'absent');
  for (const { absolute, text } of inputFiles(loaded)) states.set(absolute, digestOf(text));
  return states;
}

async function locksOf(files: readonly ConfigFile[]): Promise<ReadonlyMap<ConfigFile, ConfigLock>> {
  const locks = new Map<ConfigFile, ConfigLock>();
  for (const file of files) {
    if (file.isRemote === true || file.isStream === true) continue;
    const lock = file.lock === undefined ? await readLock(file) : parseLock(file.lock);
    if (lock !== undefined) locks.set(file, lock);
  }
  return locks;
}

/** Returns a config with the digests of its lock file. Adds the entries that it uses to `used`. */
function withLock(
  config: SystemConfig,
  lock: ConfigLock | undefined,
  used: Set<YamlValue>,
): SystemConfig {
  if (lock === undefined) return config;
  return mapReferences(config, (image) => {
    const entry = lock.digests.get(image.text);
    if (entry === undefined || image.reference === undefined) return image;
    used.add(entry.at);
    const reference = { ...image.reference, digest: entry.digest };
    return { ...image, reference, full: formatReference(reference), isLocked: true };
  });
}

function unusedEntries(
  file: ConfigFile,
  { digests }: ConfigLock,
  used: ReadonlySet<YamlValue>,
): readonly string[] {
  return [...digests]
    .filter(([, { at }]) => !used.has(at))
    .map(
      ([name, { at }]) =>
        `${at.file.path}:${at.position.line}: ${file.path} does not name ${name}; to remove it: lkt pin ${file.path}`,
    );
}

interface Document {
  readonly file: ConfigFile;
  readonly root: YamlValue;
  readonly head: ConfigHead;
}

function asConfigFile(file: SourceFile): ConfigFile {
  return 'absolute' in file ? (file as ConfigFile) : { ...file, absolute: resolve(file.path) };
}

async function load(
  file: ConfigFile,
  above: readonly string[],
  documents: Document[],
): Promise<void> {
  if (isLockPath(file.path))
    throw new LktError('CONFIG_INVALID', `${file.path} is a lock file, not an image config`, {
      fix: `name the config: ${file.path.replace(/\.lock\.yml$/, '.yml')}`,
    });
  const root = parseYaml(file);
  const head = readHead(root);
  const way = [...above, file.absolute];
  for (const include of head.include) {
    if (file.isRemote === true)
      throw errorAt('UNSUPPORTED', include.at, 'a downloaded config cannot include files', {
        fix: 'save it to a file, review it, and use the file',
      });
    const included = await readIncluded(file, include);
    if (way.includes(included.absolute))
      throw include.at.error(`${include.path} includes itself, by itself or through others`);
    if (way.length >= MAX_DEPTH) throw include.at.error('includes are nested too deeply');
    await load(included, way, documents);
  }
  if (documents.length >= MAX_FILES) throw root.error(`more than ${MAX_FILES} files are included`);
  documents.push({ file, root, head });
}

async function readIncluded(by: ConfigFile, { path, at }: Include): Promise<ConfigFile> {
  const absolute = resolve(dirname(by.absolute), path);
  const missing = (cause?: unknown): LktError =>
    errorAt('NOT_FOUND', at, `cannot read ${path}`, {
      cause,
      fix: 'name a file, relative to the config that includes it',
    });
  if (path.includes('\0')) throw missing();
  try {
    const stats = await stat(absolute);
    if (!stats.isFile() && !stats.isDirectory()) throw at.error(`${path} is ${kindOfFile(stats)}`);
    if (stats.size > MAX_SIZE) throw at.error(`${path} is too large for a config`);
    return {
      path: path.startsWith('/') ? path : join(dirname(by.path), path),
      absolute,
      text: await readFile(absolute, 'utf8'),
    };
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'))
      throw error;
    throw missing(error);
  }
}

/** Returns the values of variables; later files override earlier ones, and `set` overrides all. */
function valuesOf(
  documents: readonly Document[],
  set: ReadonlyMap<string, string>,
): ReadonlyMap<string, string | undefined> {
  const values = new Map<string, string | undefined>();
  for (const { head } of documents)
    for (const [name, value] of head.variables ?? [])
      if (value !== undefined || !values.has(name)) values.set(name, value);
  for (const [name, value] of set) {
    if (!values.has(name)) {
      const fix = 'declare it under "variables" of the config that uses it';
      throw new LktError('USAGE_INVALID', `no config has a variable "${name}"`, {
        fix: didYouMean(name, values.keys(), fix),
      });
    }
    values.set(name, value);
  }
  return values;
}

/**
 * Returns the downloaded configs that variables have their values from, by name. These values could
 * name files of this host in other configs.
 */
function foreignValues(
  documents: readonly Document[],
  set: ReadonlyMap<string, string>,
): ReadonlyMap<string, ConfigFile> {
  const found = new Map<string, ConfigFile>();
  for (const { head, file } of documents)
    for (const [name, value] of head.variables ?? []) {
      if (value === undefined || set.has(name)) continue;
      if (file.isRemote === true) found.set(name, file);
      else found.delete(name);
    }
  return found;
}

/**
 * Replaces `${NAME}` in a document; `$${NAME}` stands for a literal `${NAME}`.
 * @param foreign variables whose value the document cannot use
 */
function substitute(
  root: YamlValue,
  own: ReadonlyMap<string, string | undefined>,
  values: ReadonlyMap<string, string | undefined>,
  foreign: ReadonlyMap<string, ConfigFile> = new Map(),
): void {
  for (const [key, value] of root.entries()) {
    if (key === 'include' || key === 'variables') continue;
    value.replaceTexts((text, at) =>
      text.replaceAll(
        /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
        (all, escape: string, name: string) => {
          if (escape !== '') return all.slice(1);
          const found = values.get(name);
          const by = own.has(name) ? foreign.get(name) : undefined;
          if (by !== undefined)
            throw errorAt('UNSUPPORTED', at, `the variable "${name}" has the value of ${by.path}`, {
              fix: `--set ${name}=VALUE`,
            });
          if (own.has(name) && found !== undefined) return found;
          if (own.has(name))
            throw at.error(`the variable "${name}" has no value`, { fix: `--set ${name}=VALUE` });
          const fix = `declare it under "variables", or write $$\{${name}} for literal text`;
          throw at.error(`there is no variable "${name}" in this file`, {
            fix: didYouMean(name, own.keys(), fix),
          });
        },
      ),
    );
  }
}

/** Rejects host files in downloaded configs: they would end up in the image. */
function checkRemote(config: SystemConfig, fileOf: (value: YamlValue) => ConfigFile): void {
  const sources = config.files.flatMap(({ content }) =>
    content.kind === 'source' ? [content.at] : [],
  );
  const packages = imageReferencesOf(config).flatMap(({ packageDir, at }) =>
    packageDir === undefined ? [] : [at],
  );
  const trusted = config.trust.flatMap(({ rules, trustedRoot }) => [
    ...rules.flatMap(({ signers, rebuilders }) =>
      [signers, rebuilders].flatMap((some) => some?.keys.filter(isFile) ?? []),
    ),
    ...(trustedRoot === undefined ? [] : [trustedRoot]),
  ]);
  for (const at of [...sources, ...packages, ...trusted])
    if (fileOf(at).isRemote === true)
      throw errorAt('UNSUPPORTED', at, 'a downloaded config cannot name files of this host', {
        fix: 'save it to a file, review it, and use the file',
      });
}
