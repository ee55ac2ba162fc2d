import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  type Digest,
  formatYaml,
  isDigest,
  isErrno,
  type JsonSchema,
  LktError,
  mapping,
  parseYaml,
  record,
  required,
  SchemaWriter,
  type SourceFile,
  text as anyText,
  type YamlType,
  type YamlValue,
} from '@lkt/core';

/** The digests of references without one in an image config: `x.lock.yml` beside `x.yml`. */
export interface ConfigLock {
  readonly file: LockFile;
  /** Keyed by the reference as written in the config. */
  readonly digests: ReadonlyMap<string, LockedDigest>;
}

interface LockedDigest {
  readonly digest: Digest;
  readonly at: YamlValue;
}

/** A lock file with its absolute path. */
export interface LockFile extends SourceFile {
  readonly absolute: string;
}

/** Bytes; an entry has about 200. */
const MAX_SIZE = 2 ** 20;

const DIGEST: YamlType<LockedDigest> = anyText().transform((given, at) => {
  if (isDigest(given)) return { digest: given, at };
  throw at.error(`"${given}" is not a sha256 or sha512 digest`);
});

const LOCK = record({
  images: required(mapping(DIGEST), 'digests, by the reference in the config'),
});

/** Returns the JSON schema of a lock file. */
export function lockSchema(): JsonSchema {
  const writer = new SchemaWriter();
  return writer.document('x.lock.yml', 'Digests of the tags in x.yml', LOCK.schema(writer));
}

/** Returns the path of the lock file of a config. */
export function lockPathOf(config: string): string {
  return `${config.replace(/\.ya?ml$/i, '')}.lock.yml`;
}

/** Reports whether a file is a lock file by its name. */
export function isLockPath(path: string): boolean {
  return path.endsWith('.lock.yml');
}

/**
 * Reads the lock file of a config; undefined without one.
 * @throws LktError CONFIG_INVALID with line and column; IO_FAILED
 */
export async function readLock({ path, absolute }: LockFile): Promise<ConfigLock | undefined> {
  const file = { path: lockPathOf(path), absolute: lockPathOf(absolute) };
  try {
    const stats = await stat(file.absolute);
    if (!stats.isFile()) throw new LktError('CONFIG_INVALID', `${file.path} is not a regular file`);
    if (stats.size > MAX_SIZE)
      throw new LktError('CONFIG_INVALID', `${file.path} is too large for a lock file`);
    return parseLock({ ...file, text: await readFile(file.absolute, 'utf8') });
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    if (cause instanceof LktError) throw cause;
    throw new LktError('IO_FAILED', `cannot read ${file.path}`, { cause });
  }
}

/** @throws LktError CONFIG_INVALID with line and column */
export function parseLock(file: LockFile): ConfigLock {
  return { file, digests: LOCK.read(parseYaml(file)).images };
}

/** Returns the text of a lock file. The order of the digests does not matter. */
export function formatLock(config: string, digests: ReadonlyMap<string, string>): string {
  const sorted = [...digests].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const about = `# Digests of the tags in ${basename(config)}: lkt build uses them, and lkt pin updates them.\n`;
  return about + formatYaml({ images: Object.fromEntries(sorted) });
}
