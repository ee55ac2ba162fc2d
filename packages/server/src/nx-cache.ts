import { link, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { isErrno, LktError } from '@lkt/core';
import { type CacheArea, fileArea } from '@lkt/oci';
import { chunksOf, type Exchange, notAllowed, sendStream, tooLong } from './exchange.ts';
import { Refusal } from './refusal.ts';

const DIRECTORY = 'nx';

/** Outputs of tasks of Nx, as files of the store. */
export const nxCacheArea: CacheArea = fileArea('nx', DIRECTORY);

/** SHA-256 of the content stands behind it in the file. */
const TRAILER = 32;
const CHUNK = 256 * 1024;

/**
 * Nx's protocol for self-hosted caches: `GET` and `PUT /v1/cache/{hash}`. What has a hash keeps it: a second `PUT` is
 * refused, so nobody can put something else in the place of what others use.
 * @see https://nx.dev/docs/guides/tasks--caching/self-hosted-caching
 */
export async function answerNx(exchange: Exchange, hash: string): Promise<void> {
  if (!/^[\w-]{1,256}$/.test(hash)) throw new Refusal(404, 'NOT_FOUND', 'no such record');
  const path = join(exchange.store.dir, DIRECTORY, hash);
  if (exchange.method === 'PUT') await take(exchange, path);
  else if (exchange.method === 'GET' || exchange.method === 'HEAD') await send(exchange, path);
  else throw notAllowed('GET, HEAD, PUT');
}

async function send(exchange: Exchange, path: string): Promise<void> {
  await using file = await open(path, 'r').catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new Refusal(404, 'NOT_FOUND', 'no such record');
  });
  const size = (await file.stat()).size - TRAILER;
  if (size < 0) throw new Refusal(404, 'NOT_FOUND', 'no such record');
  await exchange.store.use(path);
  async function* content(): AsyncGenerator<Uint8Array> {
    const digest = createHash('sha256');
    for (let at = 0; at < size;) {
      const length = Math.min(CHUNK, size - at);
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, at);
      if (bytesRead === 0) throw damaged(path);
      at += bytesRead;
      const part = buffer.subarray(0, bytesRead);
      digest.update(part);
      yield part;
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(TRAILER), 0, TRAILER, size);
    if (bytesRead === TRAILER && digest.digest().equals(buffer)) return;
    // Who asks again gets none, and what is made then may take its place.
    await rm(path, { force: true });
    throw damaged(path);
  }
  await sendStream(exchange, size, content, { 'content-type': 'application/octet-stream' });
}

async function take({ request, response, store, limits }: Exchange, path: string): Promise<void> {
  const length = request.headers['content-length'];
  if (length === undefined || !/^\d{1,15}$/.test(length))
    throw new Refusal(411, 'SIZE_INVALID', 'its length has to be said');
  const size = Number(length);
  if (size > limits.blobSize) throw tooLong(limits.blobSize);
  if (await exists(path)) throw taken();
  await using temporary = await store.tempDir();
  const name = join(temporary.path, 'content');
  await writeWithDigest(name, chunksOf(request), size);
  await mkdir(join(store.dir, DIRECTORY), { recursive: true });
  try {
    // Of those that come at once one is first.
    await link(name, path);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw taken();
    throw error;
  }
  response.writeHead(200, { 'content-length': 0 }).end();
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
    if (written !== size) throw new Refusal(400, 'SIZE_INVALID', 'it is not as long as it says');
    await file.writeFile(digest.digest());
    await file.sync();
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
    throw new LktError('DISK_FULL', 'there is no room for a record', { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await using file = await open(path, 'r');
    return (await file.stat()).size >= TRAILER;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function taken(): Refusal {
  return new Refusal(409, 'CONFLICT', 'there is a record with this hash');
}

function damaged(path: string): LktError {
  return new LktError('DIGEST_MISMATCH', `${path} is damaged`);
}
