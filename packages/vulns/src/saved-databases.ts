import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Digest, digestHex, ioError, isErrno, LktError, parseDigest } from '@lkt/core';
import { readDatabase } from './database.ts';
import { record, text } from './json-fields.ts';

/** A database on this machine, fetched earlier, with what proves which one it is. */
export interface SavedDatabase {
  /** `debian`, `go`: also the name of its directory. */
  readonly name: string;
  readonly path: string;
  readonly url: string;
  /** Time of the download (RFC 3339). */
  readonly fetched: string;
  readonly digest: Digest;
}

/** The databases that `lkt vulns --update` fetches, by name. */
export const DATABASES: ReadonlyMap<string, string> = new Map([
  ['debian', 'https://security-tracker.debian.org/tracker/data/json'],
  ['go', 'https://osv-vulnerabilities.storage.googleapis.com/Go/all.zip'],
]);

/** The file that describes a saved database. */
const ENTRY = 'saved.json';

/**
 * Saves a database below a directory, in place of the one of the same name. A failure, or content
 * that is no database, leaves that one.
 * @param now time of the download
 * @throws IO_FAILED, DISK_FULL; any error of `content` and of `readDatabase`
 */
export async function saveDatabase(
  dir: string,
  { name, url }: Pick<SavedDatabase, 'name' | 'url'>,
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
    await readDatabase(temporary, () => undefined, url);
    const file = `${digestHex(digest)}.${ending}`;
    const fetched = now.toISOString();
    await rename(temporary, join(own, file));
    await writeFile(temporary, `${JSON.stringify({ url, fetched, digest, file })}\n`);
    await rename(temporary, join(own, ENTRY));
    for (const other of await readdir(own))
      if (other !== file && other !== ENTRY) await rm(join(own, other), { force: true });
    return { name, path: join(own, file), url, fetched, digest };
  } catch (error) {
    throw ioError(`cannot save the database ${name}`, error);
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Returns the databases saved below a directory, sorted by name. Their content is verified.
 * @throws DIGEST_MISMATCH for a file that changed; CONFIG_INVALID; IO_FAILED
 */
export async function savedDatabases(dir: string): Promise<readonly SavedDatabase[]> {
  try {
    const names = await readdir(dir);
    return await Promise.all(names.toSorted().map(async (name) => verifiedDatabase(dir, name)));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw ioError(`cannot read the databases in ${dir}`, error);
  }
}

async function verifiedDatabase(dir: string, name: string): Promise<SavedDatabase> {
  const { url, fetched, digest, file } = await savedEntry(dir, name);
  const path = join(dir, name, file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  if (`sha256:${hash.digest('hex')}` !== digest)
    throw new LktError('DIGEST_MISMATCH', `the saved database ${name} has changed`, FETCH_AGAIN);
  return { name, path, url, fetched, digest };
}

const FETCH_AGAIN = { fix: 'fetch it again with: lkt vulns --update' };

async function savedEntry(
  dir: string,
  name: string,
): Promise<Pick<SavedDatabase, 'url' | 'fetched' | 'digest'> & { readonly file: string }> {
  try {
    const fields = record(JSON.parse(await readFile(join(dir, name, ENTRY), 'utf8')));
    const [url, fetched, file] = ['url', 'fetched', 'file'].map((key) => text(fields?.[key]));
    const digest = parseDigest(text(fields?.['digest']) ?? '');
    if (url !== undefined && fetched !== undefined && file !== undefined && !file.includes('/'))
      return { url, fetched, file, digest };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof LktError)) throw error;
  }
  throw new LktError('CONFIG_INVALID', `the saved database ${name} is damaged`, FETCH_AGAIN);
}
