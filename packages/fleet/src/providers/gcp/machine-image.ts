import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { digestHex } from '@lkt/core';
import { sparseTar } from '@lkt/formats';
import { diskOfFile, rawDiskOf } from '../../image/disk-file.ts';
import { type MachineImage, ProviderError } from '../../provider.ts';
import { textOf } from '../../rest/json-object.ts';
import type { GcpClient } from './client.ts';

const GIB = 2 ** 30;
const POLL_MS = 5000;
const UPLOAD_MS = 3_600_000;
/** Names have at most 63 characters. */
const HEX_CHARS = 56;

/** Returns the name of an image. */
export function imageName(digest: MachineImage['digest']): string {
  return `lkt-${digestHex(digest).slice(0, HEX_CHARS)}`;
}

/**
 * Creates an image of Compute Engine from a disk, and returns its name. The name is the digest, and
 * Google
 * accepts a name once, so two controllers get the same image.
 * @throws ProviderError
 */
export async function prepareMachineImage(
  client: GcpClient,
  bucket: string,
  image: MachineImage,
  signal: AbortSignal,
): Promise<string> {
  const name = imageName(image.digest);
  if (await isReady(client, name, signal)) return name;
  const disk = rawDiskOf(image, 'gcp');
  const object = `${name}.tar.gz`;
  await upload(client, bucket, object, disk.path, signal);
  const json = {
    name,
    description: image.digest,
    rawDisk: { source: `https://storage.googleapis.com/${bucket}/${object}` },
    guestOsFeatures: [
      { type: 'VIRTIO_SCSI_MULTIQUEUE' },
      ...(disk.firmware === 'efi' ? [{ type: 'UEFI_COMPATIBLE' }] : []),
    ],
    architecture: 'X86_64',
  };
  try {
    await client.change('images.insert', `${client.project}/global/images`, {
      method: 'POST',
      json,
      signal,
    });
  } catch (error) {
    // Another controller was faster.
    if (!(error instanceof ProviderError && error.failure === 'conflict')) throw error;
  }
  while (!(await isReady(client, name, signal))) await sleep(POLL_MS, undefined, { signal });
  return name;
}

/** @throws ProviderError `unavailable` for an image that Google could not make */
async function isReady(client: GcpClient, name: string, signal: AbortSignal): Promise<boolean> {
  const found = await client.find('images.get', `${client.project}/global/images/${name}`, signal);
  if (found?.['status'] === 'FAILED')
    throw new ProviderError('unavailable', `gcp: the image ${name} failed`, {
      fix: `delete it: gcloud compute images delete ${name}`,
    });
  return found?.['status'] === 'READY';
}

/** Uploads a disk, unless the object exists. A part of it is never visible. */
async function upload(
  client: GcpClient,
  bucket: string,
  object: string,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const { storage, rest } = client;
  const url = `${storage}/storage/v1/b/${bucket}/o/${object}`;
  if ((await client.find('objects.get', url, signal)) !== undefined) return;
  const disk = await diskOfFile(path, GIB);
  let hash = createHash('md5');
  async function* body(): AsyncGenerator<Uint8Array> {
    hash = createHash('md5');
    const packed = Readable.from(sparseTar(disk, 'disk.raw')).pipe(createGzip());
    yield* hashed(packed, hash);
  }
  const query = new URLSearchParams({ uploadType: 'media', name: object, ifGenerationMatch: '0' });
  const answer = await rest.callUnless(
    'conflict',
    'objects.insert',
    `${storage}/upload/storage/v1/b/${bucket}/o?${query.toString()}`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/gzip' },
      body,
      signal,
      timeoutMs: UPLOAD_MS,
    },
  );
  if (answer === undefined || textOf(answer.body['md5Hash']) === hash.digest('base64')) return;
  throw new ProviderError('malformed', `gcp: ${object} was damaged in transit`, {
    fix: `delete it: gcloud storage rm gs://${bucket}/${object}`,
  });
}

async function* hashed(chunks: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
