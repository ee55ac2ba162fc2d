import { ApiError } from './responses.ts';
import { bodyOf, type RequestContext, sendContent } from './request-context.ts';
import { checkDigest, parsedDigest, type Repository, type Upload } from './storage.ts';

/** Handles requests for blobs (distribution-spec, "Pulling blobs", "Deleting Blobs"). */
export function handleBlob(context: RequestContext, digest: string): void {
  const { response, method, name, storage, options, blobOrigin } = context;
  parsedDigest(digest);
  const { blobs } = storage.repository(name);
  const bytes = blobs.get(digest);
  if (bytes === undefined) throw new ApiError(404, 'BLOB_UNKNOWN');
  if (method === 'DELETE') {
    blobs.delete(digest);
    response.writeHead(202, { 'content-length': 0 }).end();
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') throw new ApiError(405, 'UNSUPPORTED');
  if (blobOrigin !== undefined && method === 'GET') {
    const location = `${blobOrigin}/storage/${name}/${digest}?signature=as-good-as-a-password`;
    response.writeHead(307, { location, 'content-length': 0 }).end();
    return;
  }
  sendContent(context, bytes, {
    'content-type': 'application/octet-stream',
    ...(options.digestHeader === false ? {} : { 'docker-content-digest': digest }),
  });
}

/**
 * Handles uploads ("Pushing blobs", "Mounting a blob from another repository", "Cancel a blob
 * upload").
 */
export async function handleUpload(context: RequestContext, id: string): Promise<void> {
  const { request, method, url, name, storage, options } = context;
  const repository = storage.repository(name, method === 'POST');
  if (id === '') {
    if (method !== 'POST') throw new ApiError(405, 'UNSUPPORTED');
    await startUpload(context, repository);
    return;
  }
  const upload = repository.uploads.get(id);
  if (upload === undefined || url.searchParams.get('_state') !== upload.state)
    throw new ApiError(404, 'BLOB_UPLOAD_UNKNOWN');
  if (!url.search.includes(options.uploadQuery ?? '')) throw new ApiError(403, 'DENIED');
  if (method === 'DELETE') {
    repository.uploads.delete(id);
    context.response.writeHead(204).end();
  } else if (method === 'GET') {
    sendUpload(context, upload, 204);
  } else if (method === 'PATCH') {
    await takeChunk(context, upload, true);
    upload.state += 'x';
    sendUpload(context, upload, 202);
  } else if (method === 'PUT') {
    await takeChunk(context, upload, false);
    const digest = url.searchParams.get('digest') ?? '';
    const bytes = Buffer.concat(upload.content);
    repository.uploads.delete(id);
    checkDigest(digest, bytes);
    sendCreated(context, repository, digest, bytes);
  } else {
    request.resume();
    throw new ApiError(405, 'UNSUPPORTED');
  }
}

async function startUpload(context: RequestContext, repository: Repository): Promise<void> {
  const { request, url, storage, options } = context;
  const body = await bodyOf(request);
  const digest = url.searchParams.get('digest');
  const mount = url.searchParams.get('mount');
  if (mount !== null && options.mounts !== false) {
    parsedDigest(mount);
    const from = url.searchParams.get('from');
    const bytes = from === null ? undefined : storage.repositories.get(from)?.blobs.get(mount);
    if (bytes !== undefined) {
      sendCreated(context, repository, mount, bytes);
      return;
    }
  }
  if (digest !== null) {
    checkDigest(digest, body);
    sendCreated(context, repository, digest, body);
    return;
  }
  sendUpload(context, repository.startUpload(), 202);
}

async function takeChunk(
  { request, options }: RequestContext,
  upload: Upload,
  isWholeChunk: boolean,
): Promise<void> {
  const range = request.headers['content-range'];
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const length = request.headers['content-length'];
  const isMisplaced = range !== undefined && Number(from) !== upload.size;
  if (isMisplaced || (upload.isEnded && length !== '0')) {
    request.resume();
    throw new ApiError(416, 'RANGE_INVALID');
  }
  // Data before a broken connection is kept, as in registries that write while reading.
  let received = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    upload.content.push(part);
    upload.size += part.length;
    received += part.length;
  }
  if (length !== undefined && received !== Number(length)) throw new ApiError(400, 'SIZE_INVALID');
  if (to !== undefined && upload.size !== Number(to) + 1) throw new ApiError(400, 'SIZE_INVALID');
  // Only the last chunk may be short: a further chunk is then an error.
  upload.isEnded = isWholeChunk && received < (options.minChunk ?? 0);
}

function sendUpload(
  { response, name, location, options }: RequestContext,
  upload: Upload,
  status: number,
): void {
  const more = options.uploadQuery === undefined ? '' : `&${options.uploadQuery}`;
  const path = `/v2/${name}/blobs/uploads/${upload.id}?_state=${upload.state}${more}`;
  response
    .writeHead(status, {
      location: location(path),
      // An empty range has no syntax; registries send 0-0.
      range: `0-${Math.max(0, upload.size - 1)}`,
      'docker-upload-uuid': upload.id,
      ...(options.minChunk === undefined
        ? {}
        : { 'oci-chunk-min-length': String(options.minChunk) }),
      ...(status === 204 ? {} : { 'content-length': '0' }),
    })
    .end();
}

function sendCreated(
  { response, name, location }: RequestContext,
  { blobs }: Repository,
  digest: string,
  bytes: Buffer,
): void {
  blobs.set(digest, bytes);
  response
    .writeHead(201, {
      location: location(`/v2/${name}/blobs/${digest}`),
      'docker-content-digest': digest,
      'content-length': 0,
    })
    .end();
}
