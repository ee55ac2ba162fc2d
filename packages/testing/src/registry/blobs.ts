import { Refusal } from './answer.ts';
import { bodyOf, type Exchange, sendContent } from './exchange.ts';
import { checkDigest, parsedDigest, type Repository, type Upload } from './storage.ts';

/** distribution-spec, "Pulling blobs", "Deleting Blobs" */
export function answerBlob(exchange: Exchange, digest: string): void {
  const { response, method, name, storage, options, blobOrigin } = exchange;
  parsedDigest(digest);
  const { blobs } = storage.repository(name);
  const bytes = blobs.get(digest);
  if (bytes === undefined) throw new Refusal(404, 'BLOB_UNKNOWN');
  if (method === 'DELETE') {
    if (options.deletes === false) throw new Refusal(405, 'UNSUPPORTED');
    blobs.delete(digest);
    response.writeHead(202, { 'content-length': 0 }).end();
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') throw new Refusal(405, 'UNSUPPORTED');
  if (blobOrigin !== undefined && method === 'GET') {
    const location = `${blobOrigin}/storage/${name}/${digest}?signature=as-good-as-a-password`;
    response.writeHead(307, { location, 'content-length': 0 }).end();
    return;
  }
  sendContent(exchange, bytes, {
    'content-type': 'application/octet-stream',
    ...(options.digestHeader === false ? {} : { 'docker-content-digest': digest }),
  });
}

/** "Pushing blobs", "Mounting a blob from another repository", "Cancel a blob upload" */
export async function answerUpload(exchange: Exchange, id: string): Promise<void> {
  const { request, method, url, name, storage, options } = exchange;
  const repository = storage.repository(name, method === 'POST');
  if (id === '') {
    if (method !== 'POST') throw new Refusal(405, 'UNSUPPORTED');
    await startUpload(exchange, repository);
    return;
  }
  const upload = repository.uploads.get(id);
  if (upload === undefined || url.searchParams.get('_state') !== upload.state)
    throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN');
  if (!url.search.includes(options.uploadQuery ?? '')) throw new Refusal(403, 'DENIED');
  if (method === 'DELETE') {
    repository.uploads.delete(id);
    exchange.response.writeHead(204).end();
  } else if (method === 'GET') {
    sendUpload(exchange, upload, 204);
  } else if (method === 'PATCH') {
    if (options.chunks === false) throw new Refusal(405, 'UNSUPPORTED');
    await takeChunk(exchange, upload, true);
    upload.state += 'x';
    sendUpload(exchange, upload, 202);
  } else if (method === 'PUT') {
    await takeChunk(exchange, upload, false);
    const digest = url.searchParams.get('digest') ?? '';
    const bytes = Buffer.concat(upload.content);
    repository.uploads.delete(id);
    checkDigest(digest, bytes);
    sendCreated(exchange, repository, digest, bytes);
  } else {
    request.resume();
    throw new Refusal(405, 'UNSUPPORTED');
  }
}

async function startUpload(exchange: Exchange, repository: Repository): Promise<void> {
  const { request, url, storage, options } = exchange;
  const body = await bodyOf(request);
  const digest = url.searchParams.get('digest');
  const mount = url.searchParams.get('mount');
  if (mount !== null && options.mounts !== false) {
    parsedDigest(mount);
    const from = url.searchParams.get('from');
    const bytes = from === null ? undefined : storage.repositories.get(from)?.blobs.get(mount);
    if (bytes !== undefined) {
      sendCreated(exchange, repository, mount, bytes);
      return;
    }
  }
  if (digest !== null) {
    checkDigest(digest, body);
    sendCreated(exchange, repository, digest, body);
    return;
  }
  sendUpload(exchange, repository.startUpload(), 202);
}

async function takeChunk(
  { request, options }: Exchange,
  upload: Upload,
  isWholeChunk: boolean,
): Promise<void> {
  const range = request.headers['content-range'];
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const length = request.headers['content-length'];
  const isMisplaced = range !== undefined && Number(from) !== upload.size;
  if (isMisplaced || (upload.isEnded && length !== '0')) {
    request.resume();
    throw new Refusal(416, 'RANGE_INVALID');
  }
  // What comes before a connection breaks is kept, as registries do that write as they read.
  let received = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    upload.content.push(part);
    upload.size += part.length;
    received += part.length;
  }
  if (length !== undefined && received !== Number(length)) throw new Refusal(400, 'SIZE_INVALID');
  if (to !== undefined && upload.size !== Number(to) + 1) throw new Refusal(400, 'SIZE_INVALID');
  // The last chunk may be short, and only what follows tells that it was not the last.
  upload.isEnded = isWholeChunk && received < (options.minChunk ?? 0);
}

function sendUpload(
  { response, name, location, options }: Exchange,
  upload: Upload,
  status: number,
): void {
  const more = options.uploadQuery === undefined ? '' : `&${options.uploadQuery}`;
  const path = `/v2/${name}/blobs/uploads/${upload.id}?_state=${upload.state}${more}`;
  response
    .writeHead(status, {
      location: location(path),
      // A range has no form for nothing at all; registries say 0-0.
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
  { response, name, location }: Exchange,
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
