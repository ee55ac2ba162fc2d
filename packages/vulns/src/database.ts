import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { ioError, isErrno, LktError } from '@lkt/core';
import type { Advisory } from './advisory.ts';
import { isTrackerPackage, parseTrackerPackage } from './debian-tracker.ts';
import { record, text } from './json-fields.ts';
import { parseOsv } from './osv.ts';

/** Maximum size of one OSV record in bytes; the largest published ones have about 2 MB. */
const MAX_RECORD_BYTES = 16 * 2 ** 20;
/** Maximum size of a JSON file in bytes; the tracker's has about 80 MB. */
const MAX_FILE_BYTES = 2 ** 30;

/**
 * Reads the advisories of a database: the JSON of Debian's security tracker, an OSV record, a
 * directory of OSV records, or a zip archive of them as https://osv.dev publishes per ecosystem.
 * Holds one record, or one package of the tracker, at a time.
 * @param name of the database in errors
 * @param onModified called with the time of each OSV record's last change, in milliseconds since
 *   1970; the tracker states none
 * @throws NOT_FOUND, IO_FAILED
 * @throws CONFIG_INVALID for a file in another format
 */
export async function readDatabase(
  path: string,
  onAdvisory: (advisory: Advisory) => void,
  name: string = path,
  onModified: (time: number) => void = () => undefined,
): Promise<void> {
  const handlers = { onAdvisory, onModified };
  try {
    const info = await stat(path);
    if (info.isDirectory()) {
      const names = await readdir(path, { recursive: true });
      const files = names.filter((one) => one.endsWith('.json')).toSorted();
      if (files.length === 0) throw withoutRecords(name);
      for (const file of files) await readFileRecords(join(path, file), MAX_RECORD_BYTES, handlers);
    } else if (path.endsWith('.zip')) {
      await readZip(path, handlers);
    } else {
      await readFileRecords(path, MAX_FILE_BYTES, handlers);
    }
  } catch (error) {
    throw databaseError(error, name);
  }
}

interface Handlers {
  readonly onAdvisory: (advisory: Advisory) => void;
  readonly onModified: (time: number) => void;
}

async function readFileRecords(path: string, limit: number, handlers: Handlers): Promise<void> {
  const { size } = await stat(path);
  if (size > limit) throw tooLarge(path, limit);
  await readRecords({ stream: createReadStream(path), size }, basename(path), handlers);
}

/** Reads the OSV records of a zip archive. The library checks the size of each entry. */
async function readZip(path: string, handlers: Handlers): Promise<void> {
  const { default: yauzl } = await import('yauzl');
  const archive = await yauzl.openPromise(path, { autoClose: false });
  let hasRecords = false;
  try {
    for await (const entry of archive.eachEntry()) {
      if (!entry.fileName.endsWith('.json')) continue;
      if (entry.uncompressedSize > MAX_RECORD_BYTES)
        throw tooLarge(`${path}: ${entry.fileName}`, MAX_RECORD_BYTES);
      hasRecords = true;
      const stream = await archive.openReadStreamPromise(entry);
      await readRecords({ stream, size: entry.uncompressedSize }, entry.fileName, handlers);
    }
  } finally {
    archive.close();
  }
  if (!hasRecords) throw withoutRecords(path);
}

/** Reads an OSV record, or the packages of the tracker, by the fields of the outermost object. */
async function readRecords(
  content: Content,
  name: string,
  { onAdvisory, onModified }: Handlers,
): Promise<void> {
  const others = new Map<string, unknown>();
  let isTracker = false;
  const addPackage = (key: string, value: unknown): void => {
    for (const advisory of parseTrackerPackage(key, value, name)) onAdvisory(advisory);
  };
  await forEachField(content, ({ key, value }) => {
    if (isTrackerPackage(value)) {
      isTracker = true;
      addPackage(key, value);
    } else others.set(key, value);
  });
  if (isTracker) {
    for (const [key, value] of others) addPackage(key, value);
    return;
  }
  const advisory = parseOsv(Object.fromEntries(others), name);
  const modified = Date.parse(text(others.get('modified')) ?? '');
  if (!Number.isNaN(modified)) onModified(modified);
  if (advisory !== undefined) onAdvisory(advisory);
}

/** A JSON text, and its size in bytes. */
interface Content {
  readonly stream: Readable;
  readonly size: number;
}

/**
 * Calls `onField` with each field of an object in JSON. Holds one at a time, or all of an object
 * with the size of a record, which takes less time.
 */
async function forEachField(
  { stream, size }: Content,
  onField: (field: Entry) => void,
): Promise<void> {
  if (size <= MAX_RECORD_BYTES) {
    const fields = record(JSON.parse(await textOf(stream)));
    if (fields === undefined) throw new SyntaxError('it is no object');
    for (const [key, value] of Object.entries(fields)) onField({ key, value });
    return;
  }
  const { default: streamObject } = await import('stream-json/streamers/stream-object.js');
  await pipeline(
    stream,
    streamObject.withParserAsStream(),
    async (entries: AsyncIterable<Entry>): Promise<void> => {
      for await (const entry of entries) onField(entry);
    },
  );
}

interface Entry {
  readonly key: string;
  readonly value: unknown;
}

function withoutRecords(name: string): LktError {
  return new LktError('CONFIG_INVALID', `the database ${name} has no OSV record`, {
    fix: 'name a directory or zip archive of records in JSON, as osv.dev has them',
  });
}

function tooLarge(what: string, limit: number): LktError {
  return new LktError('CONFIG_INVALID', `${what} has more than ${limit / 2 ** 20} MiB`);
}

/** Returns the error of a database; what the parsers of JSON and zip throw names no file. */
function databaseError(cause: unknown, name: string): unknown {
  if (cause instanceof LktError) return cause;
  if (isErrno(cause, 'ENOENT'))
    return new LktError('NOT_FOUND', `there is no database ${name}`, {
      fix: 'correct the path, or fetch the public ones: lkt vulns --update',
    });
  const error = ioError(`cannot read the database ${name}`, cause);
  if (error instanceof LktError || !(cause instanceof Error)) return error;
  return new LktError('CONFIG_INVALID', `the database ${name} is damaged: ${cause.message}`, {
    cause,
    fix: 'fetch it again with: lkt vulns --update',
  });
}
