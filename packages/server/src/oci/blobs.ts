import { type Digest, DIGEST_ALGORITHMS, parseDigest } from '@lkt/core';
import {
  chunksOf,
  type Exchange,
  notAllowed,
  rangeOf,
  sendEmpty,
  sendPart,
  sendStream,
  tooLong,
} from '../exchange.ts';
import { ApiError } from '../api-error.ts';
import { deleteContent } from './delete.ts';
import type { Repository } from './names.ts';
import type { Upload, Uploads } from './uploads.ts';

/** Handles a blob request (distribution-spec, "Pulling blobs", "Deleting Blobs"). */
export async function handleBlob(exchange: Exchange, text: string): Promise<void> {
  const { request, response, method, store } = exchange;
  const digest = parseDigest(text);
  if (method === 'DELETE') return deleteContent(exchange, digest, () => false, 'BLOB_UNKNOWN');
  if (method !== 'GET' && method !== 'HEAD') throw notAllowed('DELETE, GET, HEAD');
  const size = await store.size(digest);
  if (size === undefined || !(await store.keep(digest)))
    throw new ApiError(404, 'BLOB_UNKNOWN', 'blob not found');
  const headers = {
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  };
  const range = rangeOf(request, size);
  if (range === undefined) {
    await sendStream(exchange, size, () => store.read({ digest }), headers);
    return;
  }
  if (range.start >= range.end)
    throw new ApiError(416, 'RANGE_INVALID', 'the range is outside of the blob', {
      'content-range': `bytes */${size}`,
    });
  // The client verifies the digest after joining the parts.
  await sendPart(response, store.blobPath(digest), range, size, headers);
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
  const algorithm = url.searchParams.get('digest-algorithm');
  if (algorithm !== null && !DIGEST_ALGORITHMS.some((known) => known === algorithm))
    throw new ApiError(400, 'DIGEST_INVALID', 'the digest algorithm is neither sha256 nor sha512');
  sendUpload(exchange, uploads.start(repository.name), 202);
}

/** Handles a request about an open upload. */
export async function continueUpload(
  exchange: Exchange,
  repository: Repository,
  uploads: Uploads,
  id: string,
): Promise<void> {
  const { request, method, url } = exchange;
  await uploads.use(id, repository.name, async (upload) => {
    if (method === 'GET') {
      sendUpload(exchange, upload, 204);
    } else if (method === 'DELETE') {
      await uploads.end(upload);
      sendEmpty(exchange, 204);
    } else if (method === 'PATCH') {
      await addChunk(exchange, upload);
      sendUpload(exchange, upload, 202);
    } else if (method === 'PUT') {
      const digest = parseDigest(url.searchParams.get('digest') ?? '');
      if (upload.size === 0 && request.headers['content-range'] === undefined) {
        // The usual case: the whole blob in one request, verified while it streams.
        await uploads.end(upload);
        await receiveBlob(exchange, repository, digest);
        return;
      }
      await addChunk(exchange, upload);
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

async function addChunk({ request, limits }: Exchange, upload: Upload): Promise<void> {
  const { 'content-range': range, 'content-length': length } = request.headers;
  const [, from, to] =
    /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(range ?? '') ?? [];
  if (range !== undefined && Number(from) !== upload.size)
    throw new ApiError(416, 'RANGE_INVALID', `the next byte is ${upload.size}`, {
      range: rangeHeader(upload),
    });
  if (to !== undefined && length !== undefined && Number(to) - Number(from) + 1 !== Number(length))
    throw new ApiError(400, 'SIZE_INVALID', 'content-length does not match content-range');
  await upload.add(request, limits.minSpeed);
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
  await store.write(limited(chunksOf(request, limits.minSpeed), limits.maxBlobSize), {
    digest,
    ...size,
  });
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

function sendUpload(exchange: Exchange, upload: Upload, status: number): void {
  sendEmpty(exchange, status, {
    location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
    range: rangeHeader(upload),
    'docker-upload-uuid': upload.id,
  });
}

/** Returns the received range. `0-0` also means no bytes, as in other registries. */
function rangeHeader({ size }: Upload): string {
  return `0-${Math.max(0, size - 1)}`;
}

function sendCreated(exchange: Exchange, { name }: Repository, digest: Digest): void {
  sendEmpty(exchange, 201, {
    location: `/v2/${name}/blobs/${digest}`,
    'docker-content-digest': digest,
  });
}
