import { link, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { ioError, isErrno, LktError } from '@lkt/core';
import { type CacheArea, fileArea, fileChunks } from '@lkt/oci';
import { exists } from '@lkt/oci/files';
import { chunksOf, type Exchange, notAllowed, sendEmpty, sendStream, tooLong } from './exchange.ts';
import { ApiError } from './api-error.ts';

const DIRECTORY = 'nx';

/** The store area of Nx task outputs. */
export const nxCacheArea: CacheArea = fileArea('nx', DIRECTORY);

/** A file ends with the SHA-256 of its content. */
const TRAILER_BYTES = 32;

/**
 * Handles `GET` and `PUT /v1/cache/{hash}` of Nx's self-hosted cache protocol. Records are
 * immutable: a second `PUT` is rejected, so no client can replace a record that others use.
 * @see https://nx.dev/docs/guides/tasks--caching/self-hosted-caching
 */
export async function handleNxCache(exchange: Exchange, hash: string): Promise<void> {
  // A file's name has at most 255 bytes.
  if (!/^[\w-]{1,255}$/.test(hash)) throw new ApiError(404, 'NOT_FOUND', 'record not found');
  const path = join(exchange.store.dir, DIRECTORY, hash);
  if (exchange.method === 'PUT') await putRecord(exchange, path);
  else if (exchange.method === 'GET' || exchange.method === 'HEAD')
    await sendRecord(exchange, path);
  else throw notAllowed('GET, HEAD, PUT');
}

async function sendRecord(exchange: Exchange, path: string): Promise<void> {
  await using file = await open(path, 'r').catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new ApiError(404, 'NOT_FOUND', 'record not found');
  });
  const size = (await file.stat()).size - TRAILER_BYTES;
  if (size < 0) throw new ApiError(404, 'NOT_FOUND', 'record not found');
  await exchange.store.use(path);
  async function* content(): AsyncGenerator<Uint8Array> {
    const digest = createHash('sha256');
    for await (const part of fileChunks(path, { part: { offset: 0, size } })) {
      digest.update(part);
      yield part;
    }
    const trailer = Buffer.alloc(TRAILER_BYTES);
    await file.read(trailer, 0, TRAILER_BYTES, size);
    if (digest.digest().equals(trailer)) return;
    // The next request finds none, and the task's output can be stored again.
    await rm(path, { force: true });
    throw new LktError('DIGEST_MISMATCH', `${path} is damaged`);
  }
  await sendStream(exchange, size, content, { 'content-type': 'application/octet-stream' });
}

async function putRecord(exchange: Exchange, path: string): Promise<void> {
  const { request, store, limits } = exchange;
  const length = request.headers['content-length'];
  if (length === undefined || !/^\d{1,15}$/.test(length))
    throw new ApiError(411, 'SIZE_INVALID', 'content-length is required');
  const size = Number(length);
  if (size > limits.maxBlobSize) throw tooLong(limits.maxBlobSize);
  if (exists(path)) throw conflict();
  await using temporary = await store.tempDir();
  const name = join(temporary.path, 'content');
  await writeWithDigest(name, chunksOf(request, limits.minSpeed), size);
  await mkdir(join(store.dir, DIRECTORY), { recursive: true });
  try {
    // Atomic: of concurrent requests, one succeeds.
    await link(name, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw conflict();
    throw error;
  }
  sendEmpty(exchange, 200);
}

async function writeWithDigest(
  name: string,
  source: AsyncIterable<Buffer>,
  size: number,
): Promise<void> {
  await using file = await open(name, 'wx', 0o644);
  const digest = createHash('sha256');
  let written = 0;
  try {
    for await (const chunk of source) {
      digest.update(chunk);
      written += chunk.length;
      await file.writeFile(chunk);
    }
    if (written !== size)
      throw new ApiError(400, 'SIZE_INVALID', 'the content does not match its content-length');
    await file.writeFile(digest.digest());
    await file.sync();
  } catch (error) {
    throw ioError('cannot write a record of the Nx cache', error);
  }
}

function conflict(): ApiError {
  return new ApiError(409, 'CONFLICT', 'the record already exists');
}
