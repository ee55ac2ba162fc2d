import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  type Digest,
  digestHex,
  ioError,
  isErrno,
  LktError,
  parseDigest,
  undefinedIf,
} from '@lkt/core';
import { readDatabase } from './database.ts';
import { record, text } from './json-fields.ts';

/** A database on this machine, fetched earlier, with what proves which one it is. */
export interface SavedDatabase {
  /** That of its ecosystem, and of its directory: `debian`, `go`. */
  readonly name: string;
  readonly path: string;
  readonly url: string;
  /** Time of the download (RFC 3339). */
  readonly fetched: string;
  /** Time of the last change of its content (RFC 3339), if its records or its server state it. */
  readonly modified?: string;
  readonly digest: Digest;
}

/** The file that describes a saved database. */
const ENTRY = 'saved.json';

/**
 * Saves a database below a directory, in place of the one of the same name. A failure, or content
 * that is no database, leaves that one. So does content that is older than that of the same
 * address: a mirror that lags, or withholds advisories. `modified` counts if no record has a time.
 * @param now time of the download
 * @throws OUTDATED for older content; IO_FAILED, DISK_FULL; any error of `content` and of
 * `readDatabase`
 */
export async function saveDatabase(
  dir: string,
  { name, url, modified: stated }: Pick<SavedDatabase, 'name' | 'url' | 'modified'>,
  content: AsyncIterable<Uint8Array>,
  now: Date,
): Promise<SavedDatabase> {
  const own = join(dir, name);
  const ending = url.endsWith('.zip') ? 'zip' : 'json';
  const temporary = join(own, `.${randomUUID()}.${ending}`);
  try {
    await mkdir(own, { recursive: true });
    const hash = createHash('sha256');
    const hashed = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(content, hashed, createWriteStream(temporary));
    const digest = parseDigest(`sha256:${hash.digest('hex')}`);
    // A record with a time to come would make all later databases older.
    const latest = (a: number, b: number): number => (b > a && b <= now.getTime() ? b : a);
    let time = -Infinity;
    const noted = (other: number): void => {
      time = latest(time, other);
    };
    await readDatabase(temporary, () => undefined, url, noted);
    if (time === -Infinity) noted(Date.parse(stated ?? ''));
    const modified = time === -Infinity ? undefined : new Date(time).toISOString();
    await requireNewer(dir, { name, url, modified });
    const file = `${digestHex(digest)}.${ending}`;
    const fetched = now.toISOString();
    await rename(temporary, join(own, file));
    await writeFile(temporary, `${JSON.stringify({ url, fetched, modified, digest, file })}\n`);
    await rename(temporary, join(own, ENTRY));
    for (const other of await readdir(own))
      if (other !== file && other !== ENTRY) await rm(join(own, other), { force: true });
    return { name, path: join(own, file), url, fetched, modified, digest };
  } catch (error) {
    throw ioError(`cannot save the database ${name}`, error);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Compares the times of texts, as apt does with those of its indexes. */
async function requireNewer(
  dir: string,
  { name, url, modified }: Pick<SavedDatabase, 'name' | 'url' | 'modified'>,
): Promise<void> {
  const before = await savedEntry(dir, name).catch((error: unknown) => {
    // The download replaces a damaged one.
    if (error instanceof LktError) return undefined;
    throw error;
  });
  if (before?.modified === undefined || before.url !== url) return;
  if (modified !== undefined && Date.parse(modified) >= Date.parse(before.modified)) return;
  const state = modified === undefined ? 'states no time' : `is of ${modified}`;
  throw new LktError('OUTDATED', `the database ${name} at ${url} is older than the saved one`, {
    cause: new Error(`it ${state}, the saved one is of ${before.modified}`),
    fix: `try again later; to accept it, remove ${join(dir, name)}`,
  });
}

const DAY_MS = 86_400_000;
const MAX_AGE_DAYS = 7;
/** Every database gets advisories more often. */
const MAX_SILENCE_DAYS = 30;

/** Returns a warning about a database that lacks new advisories; undefined if it is recent. */
export function describeStaleness(
  { name, fetched, modified }: Pick<SavedDatabase, 'name' | 'fetched' | 'modified'>,
  now: Date,
): string | undefined {
  const daysSince = (time: string): number =>
    Math.floor((now.getTime() - Date.parse(time)) / DAY_MS);
  const age = daysSince(fetched);
  if (age > MAX_AGE_DAYS)
    return `the database ${name} was fetched ${age} days ago, and lacks newer advisories: lkt vulns --update`;
  const silence = modified === undefined ? 0 : daysSince(modified);
  return silence > MAX_SILENCE_DAYS
    ? `the database ${name} was last changed ${silence} days ago: its source may withhold newer advisories`
    : undefined;
}

/**
 * Returns the databases saved below a directory, of the given names or all, sorted by name. Their
 * content is verified.
 * @throws DIGEST_MISMATCH for a file that changed; CONFIG_INVALID; IO_FAILED
 */
export async function savedDatabases(
  dir: string,
  wanted?: ReadonlySet<string>,
): Promise<readonly SavedDatabase[]> {
  try {
    const names = ((await readdir(dir).catch(undefinedIf('ENOENT'))) ?? []).toSorted();
    const found = names
      .filter((name) => wanted?.has(name) !== false)
      .map(async (name) => verifiedDatabase(dir, name));
    return (await Promise.all(found)).filter((database) => database !== undefined);
  } catch (error) {
    throw ioError(`cannot read the databases in ${dir}`, error);
  }
}

/** Returns a database; undefined after a first download that was interrupted. */
async function verifiedDatabase(dir: string, name: string): Promise<SavedDatabase | undefined> {
  const saved = await savedEntry(dir, name);
  if (saved === undefined) return undefined;
  const { file, ...entry } = saved;
  const path = join(dir, name, file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash).catch((error: unknown) => {
    throw isErrno(error, 'ENOENT') ? damaged(name) : error;
  });
  if (`sha256:${hash.digest('hex')}` !== entry.digest)
    throw new LktError('DIGEST_MISMATCH', `the saved database ${name} has changed`, FETCH_AGAIN);
  return { name, path, ...entry };
}

const FETCH_AGAIN = { fix: 'fetch it again with: lkt vulns --update' };

type SavedEntry = Omit<SavedDatabase, 'name' | 'path'> & { readonly file: string };

async function savedEntry(dir: string, name: string): Promise<SavedEntry | undefined> {
  const json = await readFile(join(dir, name, ENTRY), 'utf8').catch(undefinedIf('ENOENT'));
  if (json === undefined) return undefined;
  try {
    const fields = record(JSON.parse(json));
    const [url, fetched, file, modified] = ['url', 'fetched', 'file', 'modified'].map((key) =>
      text(fields?.[key]),
    );
    const digest = parseDigest(text(fields?.['digest']) ?? '');
    const isWhole = url !== undefined && fetched !== undefined && file !== undefined;
    if (isWhole && !Number.isNaN(Date.parse(fetched)) && !file.includes('/'))
      return { url, fetched, file, modified, digest };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof LktError)) throw error;
  }
  throw damaged(name);
}

function damaged(name: string): LktError {
  return new LktError('CONFIG_INVALID', `the saved database ${name} is damaged`, FETCH_AGAIN);
}
