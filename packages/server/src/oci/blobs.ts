import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Digest, parseDigest } from '@lkt/core';
import {
  chunksOf,
  COMMON_HEADERS,
  type Exchange,
  notAllowed,
  sendStream,
  tooLong,
} from '../exchange.ts';
import { ApiError } from '../api-error.ts';
import type { Repository } from './names.ts';
import type { Upload, Uploads } from './uploads.ts';

/** Handles a blob request (distribution-spec, "Pulling blobs"). */
export async function handleBlob(exchange: Exchange, text: string): Promise<void> {
  const { method, request, response, store } = exchange;
  const digest = parseDigest(text);
  if (method !== 'GET' && method !== 'HEAD') throw notAllowed('GET, HEAD');
  const size = await store.size(digest);
  if (size === undefined || !(await store.keep(digest)))
    throw new ApiError(404, 'BLOB_UNKNOWN', 'blob not found');
  const headers = {
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  };
  const part = method === 'GET' ? rangeOf(request, size) : undefined;
  if (part === undefined) {
    await sendStream(exchange, size, () => store.read({ digest }), headers);
    return;
  }
  response.writeHead(206, {
    ...COMMON_HEADERS,
    ...headers,
    'content-length': part.end - part.start,
    'content-range': `bytes ${part.start}-${part.end - 1}/${size}`,
  });
  // The client verifies the digest after joining the parts.
  const file = createReadStream(store.blobPath(digest), { start: part.start, end: part.end - 1 });
  await pipeline(file, response);
}

/**
 * Parses a single range (RFC 9110, 14.1.2). Other ranges are ignored, which the specification
 * allows.
 */
function rangeOf(
  { headers }: IncomingMessage,
  size: number,
): { readonly start: number; readonly end: number } | undefined {
  const [all, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range ?? '') ?? [];
  if (all === undefined || (from === '' && to === '')) return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1);
  if (start < end) return { start, end };
  throw new ApiError(416, 'RANGE_INVALID', 'the range is outside of the blob', {
    'content-range': `bytes */${size}`,
  });
}

/**
 * Starts or completes an upload, or mounts a blob (distribution-spec, "Pushing blobs", "Mounting a
 * blob from another repository").
 */
export async function startUpload(
  exchange: Exchange,
  repository: Repository,
  uploads: Uploads,
): Promise<void> {
  const { request, url, store } = exchange;
  const mount = url.searchParams.get('mount');
  // All repositories share one store, and a writer may read all of it.
  if (mount !== null && (await store.keep(parseDigest(mount)))) {
    request.resume();
    sendCreated(exchange, repository, parseDigest(mount));
    return;
  }
  const digest = url.searchParams.get('digest');
  if (digest !== null) {
    await receiveBlob(exchange, repository, parseDigest(digest));
    return;
  }
  sendUpload(exchange, uploads.start(repository.name), 202);
}

/** Handles a request about an open upload. */
export async function continueUpload(
  exchange: Exchange,
  repository: Repository,
  uploads: Uploads,
  id: string,
): Promise<void> {
  const { request, response, method, url } = exchange;
  await uploads.use(id, repository.name, async (upload) => {
    if (method === 'GET') {
      sendUpload(exchange, upload, 204);
    } else if (method === 'DELETE') {
      await uploads.end(upload);
      response.writeHead(204).end();
    } else if (method === 'PATCH') {
      await addChunk(request, upload);
      sendUpload(exchange, upload, 202);
    } else if (method === 'PUT') {
      const digest = parseDigest(url.searchParams.get('digest') ?? '');
      if (upload.size === 0 && request.headers['content-range'] === undefined) {
        // The usual case: the whole blob in one request, verified while it streams.
        await uploads.end(upload);
        await receiveBlob(exchange, repository, digest);
        return;
      }
      await addChunk(request, upload);
      try {
        await upload.commit(digest);
      } finally {
        await uploads.end(upload);
      }
      sendCreated(exchange, repository, digest);
    } else {
      throw notAllowed('DELETE, GET, PATCH, PUT');
    }
  });
}

async function addChunk(request: IncomingMessage, upload: Upload): Promise<void> {
  const { 'content-range': range, 'content-length': length } = request.headers;
  const [, from, to] = /^(?:bytes )?(\d{1,15})-(\d{1,15})/.exec(range ?? '') ?? [];
  if (range !== undefined && Number(from) !== upload.size)
    throw new ApiError(416, 'RANGE_INVALID', `the next byte is ${upload.size}`, {
      range: rangeHeader(upload),
    });
  if (to !== undefined && length !== undefined && Number(to) - Number(from) + 1 !== Number(length))
    throw new ApiError(400, 'SIZE_INVALID', 'content-length does not match content-range');
  await upload.add(request);
}

async function receiveBlob(
  exchange: Exchange,
  repository: Repository,
  digest: Digest,
): Promise<void> {
  const { request, store, limits } = exchange;
  const length = request.headers['content-length'];
  if (Number(length ?? 0) > limits.maxBlobSize) throw tooLong(limits.maxBlobSize);
  const size = length === undefined ? {} : { size: Number(length) };
  await store.write(limited(chunksOf(request), limits.maxBlobSize), { digest, ...size });
  // The store does not read the body of an existing blob.
  request.resume();
  sendCreated(exchange, repository, digest);
}

async function* limited(source: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > limit) throw tooLong(limit);
    yield chunk;
  }
}

function sendUpload({ response }: Exchange, upload: Upload, status: number): void {
  response
    .writeHead(status, {
      ...COMMON_HEADERS,
      location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
      range: rangeHeader(upload),
      'docker-upload-uuid': upload.id,
      ...(status === 204 ? {} : { 'content-length': 0 }),
    })
    .end();
}

/** Returns the received range. `0-0` also means no bytes, as in other registries. */
function rangeHeader({ size }: Upload): string {
  return `0-${Math.max(0, size - 1)}`;
}

function sendCreated({ response }: Exchange, { name }: Repository, digest: Digest): void {
  response
    .writeHead(201, {
      ...COMMON_HEADERS,
      location: `/v2/${name}/blobs/${digest}`,
      'docker-content-digest': digest,
      'content-length': 0,
    })
    .end();
}
