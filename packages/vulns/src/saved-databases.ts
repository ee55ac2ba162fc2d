import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Digest, ioError, isErrno, LktError, parseDigest } from '@lkt/core';
import { record, text } from './json-fields.ts';

/** A database on this machine, fetched earlier, with what proves which one it is. */
export interface SavedDatabase {
  /** `debian`, `go`: also the name of its file. */
  readonly name: string;
  readonly path: string;
  readonly url: string;
  /** Time of the download (RFC 3339). */
  readonly fetched: string;
  readonly digest: Digest;
}

/** The databases that `lkt vulns update` fetches, by name. */
export const DATABASES: ReadonlyMap<string, string> = new Map([
  ['debian', 'https://security-tracker.debian.org/tracker/data/json'],
  ['go', 'https://osv-vulnerabilities.storage.googleapis.com/Go/all.zip'],
]);

/**
 * Saves a database in a directory, in place of the one of the same name. A failure leaves that one.
 * @param now time of the download
 * @throws IO_FAILED, DISK_FULL; any error of `content`
 */
export async function saveDatabase(
  dir: string,
  { name, url }: Pick<SavedDatabase, 'name' | 'url'>,
  content: AsyncIterable<Uint8Array>,
  now: Date,
): Promise<SavedDatabase> {
  const temporary = join(dir, `.${randomUUID()}`);
  try {
    await mkdir(dir, { recursive: true });
    const hash = createHash('sha256');
    await pipeline(
      content,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(temporary, { mode: 0o644 }),
    );
    const digest = parseDigest(`sha256:${hash.digest('hex')}`);
    const file = `${name}-${digest.slice(7, 19)}.${url.endsWith('.zip') ? 'zip' : 'json'}`;
    const fetched = now.toISOString();
    await rename(temporary, join(dir, file));
    await writeFile(temporary, `${JSON.stringify({ url, fetched, digest, file })}\n`);
    await rename(temporary, join(dir, `${name}${ENTRY}`));
    await removeOthers(dir, name, file);
    return { name, path: join(dir, file), url, fetched, digest };
  } catch (error) {
    throw ioError(`cannot save the database ${name}`, error);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** End of the name of the file that describes a saved database. */
const ENTRY = '.saved.json';

async function removeOthers(dir: string, name: string, kept: string): Promise<void> {
  for (const file of await readdir(dir)) {
    const [, owner] = /^(.+)-[0-9a-f]{12}\.(?:json|zip)$/.exec(file) ?? [];
    if (owner === name && file !== kept) await rm(join(dir, file), { force: true });
  }
}

/**
 * Returns the databases saved in a directory, sorted by name. Their content is verified.
 * @throws DIGEST_MISMATCH for a file that changed; CONFIG_INVALID; IO_FAILED
 */
export async function savedDatabases(dir: string): Promise<readonly SavedDatabase[]> {
  try {
    const names = await readdir(dir).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    });
    const entries = names.filter((one) => one.endsWith(ENTRY)).toSorted();
    return await Promise.all(entries.map((entry) => verifiedDatabase(dir, entry)));
  } catch (error) {
    throw ioError(`cannot read the databases in ${dir}`, error);
  }
}

async function verifiedDatabase(dir: string, entry: string): Promise<SavedDatabase> {
  const name = entry.slice(0, -ENTRY.length);
  const fields = await entryFields(join(dir, entry));
  const path = join(dir, fields.file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  if (`sha256:${hash.digest('hex')}` !== fields.digest)
    throw new LktError('DIGEST_MISMATCH', `the saved database ${name} has changed`, FETCH_AGAIN);
  return { name, path, url: fields.url, fetched: fields.fetched, digest: fields.digest };
}

const FETCH_AGAIN = { fix: 'fetch it again: lkt vulns update' };

async function entryFields(
  path: string,
): Promise<Omit<SavedDatabase, 'name' | 'path'> & { readonly file: string }> {
  try {
    const fields = record(JSON.parse(await readFile(path, 'utf8')));
    const [url, fetched, file] = ['url', 'fetched', 'file'].map((key) => text(fields?.[key]));
    const digest = parseDigest(text(fields?.['digest']) ?? '');
    if (url !== undefined && fetched !== undefined && file !== undefined && !file.includes('/'))
      return { url, fetched, file, digest };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof LktError)) throw error;
  }
  throw new LktError('CONFIG_INVALID', `${path} is damaged`, FETCH_AGAIN);
}
