import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { digestHex } from '@lkt/core';
import { rawDiskOf } from '../../image/disk-file.ts';
import { type MachineImage, ProviderError } from '../../provider.ts';
import { objectsOf, textOf } from '../../rest/json-object.ts';
import type { OpenStackClient } from './client.ts';

const UPLOAD_MS = 3_600_000;
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reports whether a text is an id of Glance. */
export function isImageId(text: string): boolean {
  return ID.test(text);
}

/**
 * Creates an image in Glance from a disk, and returns its id. A property has the digest. Two
 * controllers may both upload it; then both use the older one.
 * @throws ProviderError
 */
export async function prepareMachineImage(
  client: OpenStackClient,
  image: MachineImage,
  signal: AbortSignal,
): Promise<string> {
  const { digest } = image;
  const existing = await findImage(client, digest, signal);
  if (existing !== undefined) return existing;
  const disk = rawDiskOf(image, 'openstack');
  const { body } = await client.call('image', 'create image', '/images', {
    method: 'POST',
    json: {
      name: `lkt-${digestHex(digest)}`,
      disk_format: 'raw',
      container_format: 'bare',
      visibility: 'private',
      lkt_digest: digest,
      hw_firmware_type: disk.firmware === 'efi' ? 'uefi' : 'bios',
      hw_machine_type: 'q35',
    },
    signal,
  });
  const id = textOf(body['id']);
  if (!ID.test(id)) throw new ProviderError('malformed', 'openstack: an image without a valid id');
  try {
    await upload(client, id, disk.path, signal);
  } catch (error) {
    // Glance keeps the data of a failed upload.
    await client
      .find('image', 'delete image', `/images/${id}`, {
        method: 'DELETE',
        signal: AbortSignal.timeout(10_000),
      })
      .catch(() => undefined);
    throw error;
  }
  return (await findImage(client, digest, signal)) ?? id;
}

/** Returns the oldest usable image of a digest. Those of other projects do not count. */
async function findImage(
  client: OpenStackClient,
  digest: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const owner = await client.project(signal);
  const wanted = { owner, visibility: 'private', status: 'active', lkt_digest: digest };
  const query = new URLSearchParams({ ...wanted, sort: 'created_at:asc,id:asc', limit: '10' });
  const { body } = await client.call('image', 'list images', `/images?${query.toString()}`, {
    signal,
  });
  if (!Array.isArray(body['images']))
    throw new ProviderError('malformed', 'openstack: a list of images without images');
  // A public image of another project could have the property.
  const own = objectsOf(body['images']).filter((one) =>
    Object.entries(wanted).every(([key, value]) => one[key] === value),
  );
  return own.map((one) => textOf(one['id'])).find((id) => ID.test(id));
}

async function upload(
  client: OpenStackClient,
  id: string,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(path);
  let hash = createHash('sha512');
  async function* data(): AsyncGenerator<Uint8Array> {
    hash = createHash('sha512');
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
  }
  await client.call('image', 'upload image', `/images/${id}/file`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
    body: data,
    signal,
    timeoutMs: UPLOAD_MS,
  });
  const { body } = await client.call('image', 'show image', `/images/${id}`, { signal });
  const isDamaged =
    body['os_hash_algo'] === 'sha512' && body['os_hash_value'] !== hash.digest('hex');
  if (body['status'] !== 'active' || isDamaged)
    throw new ProviderError('unavailable', `openstack: the image ${id} was damaged in transit`);
}
