import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestHex } from '@lkt/core';
import { blocksOf, MIB, vhdBytes } from '@lkt/formats';
import { diskOfFile, rawDiskOf } from '../../image/disk-file.ts';
import { type MachineImage, ProviderError } from '../../provider.ts';
import { objectOf, textOf } from '../../rest/json-object.ts';
import { RestClient } from '../../rest/rest-client.ts';
import type { AzureClient } from './client.ts';
import type { AzureSettings } from './settings.ts';

const POLL_MS = 5000;
const FOOTER_BYTES = 512;
/** A request writes no more. */
const PAGE_BYTES = 4 * MIB;
const ZEROS = Buffer.alloc(PAGE_BYTES);
const PAGE_MS = 300_000;
const ACCESS_SECONDS = 86_400;
/** A part of a version has 31 bits. */
const PART_BITS = 31n;

/** Returns the version of an image: three numbers of its digest. */
export function versionOf(digest: MachineImage['digest']): string {
  const bits = BigInt(`0x${digestHex(digest).slice(0, 24)}`) >> 3n;
  const mask = (1n << PART_BITS) - 1n;
  return [2n, 1n, 0n].map((part) => (bits >> (part * PART_BITS)) & mask).join('.');
}

/** Path of the managed disks of the resource group. */
export const DISKS = '/Microsoft.Compute/disks';

/** Returns the name of the managed disk through which an image is uploaded. */
export function diskNameOf(digest: MachineImage['digest']): string {
  return `lkt-${digestHex(digest).slice(0, 56)}`;
}

/**
 * Creates a version of the image definition from a disk, and returns its id. The version is derived
 * from the digest, so two controllers create the same. The disk goes straight into a managed disk,
 * without a
 * storage account.
 * @throws ProviderError
 */
export async function prepareMachineImage(
  client: AzureClient,
  settings: AzureSettings,
  variables: Readonly<Record<string, string | undefined>>,
  image: MachineImage,
  signal: AbortSignal,
): Promise<string> {
  const { gallery, imageDefinition, region } = settings;
  const { digest } = image;
  const definition = `/Microsoft.Compute/galleries/${gallery}/images/${imageDefinition}`;
  const path = `${definition}/versions/${versionOf(digest)}`;
  const id = `${client.group}${path}`;
  if (await isReady(client, path, digest, signal)) return id;
  const disk = rawDiskOf(image, 'azure');
  const generation = disk.firmware === 'efi' ? 'V2' : 'V1';
  await requireDefinition(client, definition, generation, signal);
  const diskPath = `${DISKS}/${diskNameOf(digest)}`;
  const { path: file } = disk;
  try {
    await upload({ client, variables, region, generation, path: file, diskPath, digest }, signal);
    await client.change('galleries.images.versions.write', path, {
      method: 'PUT',
      json: {
        location: region,
        tags: { 'lkt.digest': digest },
        properties: {
          publishingProfile: { targetRegions: [{ name: region, regionalReplicaCount: 1 }] },
          storageProfile: { osDiskImage: { source: { id: `${client.group}${diskPath}` } } },
        },
      },
      signal,
    });
  } catch (error) {
    // Another controller was faster, and has deleted the disk.
    if (error instanceof ProviderError && (await isReady(client, path, digest, signal))) return id;
    throw error;
  }
  while (!(await isReady(client, path, digest, signal)))
    await sleep(POLL_MS, undefined, { signal });
  await client.change('disks.delete', diskPath, { method: 'DELETE', signal });
  return id;
}

async function isReady(
  client: AzureClient,
  path: string,
  digest: string,
  signal: AbortSignal,
): Promise<boolean> {
  const found = await client.find('galleries.images.versions.read', path, signal);
  if (found === undefined) return false;
  const { tags, properties } = found;
  if (objectOf(tags)['lkt.digest'] !== digest)
    throw new ProviderError('conflict', `azure: ${path} is not an image of lkt`, {
      fix: 'delete this version, or use another image definition',
    });
  const state = objectOf(properties)['provisioningState'];
  if (state === 'Failed')
    throw new ProviderError('unavailable', `azure: ${path} failed`, {
      fix: 'delete this version of the image definition',
    });
  return state === 'Succeeded';
}

async function requireDefinition(
  client: AzureClient,
  path: string,
  generation: string,
  signal: AbortSignal,
): Promise<void> {
  const found = await client.find('galleries.images.read', path, signal);
  const { osType, osState, hyperVGeneration } = objectOf(found?.['properties']);
  if (osType === 'Linux' && osState === 'Specialized' && hyperVGeneration === generation) return;
  throw new ProviderError(
    'invalid',
    `azure: ${path} is not an image definition of specialized Linux, generation ${generation}`,
    {
      fix: `az sig image-definition create --os-state specialized --hyper-v-generation ${generation}`,
    },
  );
}

interface Upload {
  readonly client: AzureClient;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly region: string;
  readonly generation: string;
  readonly path: string;
  readonly diskPath: string;
  readonly digest: string;
}

/** Writes a disk as fixed VHD into a managed disk, unless a complete one exists. */
async function upload(
  { client, variables, region, generation, path, diskPath, digest }: Upload,
  signal: AbortSignal,
): Promise<void> {
  const disk = await diskOfFile(path, MIB);
  const state = async (): Promise<string> => {
    const found = await client.find('disks.read', diskPath, signal);
    return textOf(objectOf(found?.['properties'])['diskState']);
  };
  const before = await state();
  if (before === 'Unattached') return;
  if (before === '')
    await client.change('disks.write', diskPath, {
      method: 'PUT',
      json: {
        location: region,
        tags: { 'lkt.digest': digest },
        sku: { name: 'Standard_LRS' },
        properties: {
          osType: 'Linux',
          hyperVGeneration: generation,
          creationData: { createOption: 'Upload', uploadSizeBytes: disk.size + FOOTER_BYTES },
        },
      },
      signal,
    });
  const granted = await client.change('disks.beginGetAccess.action', `${diskPath}/beginGetAccess`, {
    method: 'POST',
    json: { access: 'Write', durationInSeconds: ACCESS_SECONDS },
    signal,
  });
  const output = objectOf(objectOf(granted['properties'])['output']);
  const url = textOf(granted['accessSAS']) || textOf(output['accessSAS']);
  if (!URL.canParse(url) || !/^(?:https:|http:\/\/127\.0\.0\.1:)/.test(url))
    throw new ProviderError(
      'malformed',
      'azure: disks.beginGetAccess: the response has no upload URL',
    );
  await writePages(url, blocksOf(vhdBytes(disk, digest), PAGE_BYTES), variables, signal);
  await client.change('disks.endGetAccess.action', `${diskPath}/endGetAccess`, {
    method: 'POST',
    signal,
  });
}

/** Writes the pieces that are not all zero. The address itself is the credential. */
async function writePages(
  url: string,
  data: AsyncIterable<Uint8Array>,
  variables: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<void> {
  await using storage = new RestClient({
    name: 'azure',
    variables,
    authorize: async () => ({}),
    rightsFix: 'try again: the address has expired',
  });
  let at = 0;
  for await (const piece of data) {
    const end = at + piece.length;
    if (!ZEROS.subarray(0, piece.length).equals(piece))
      await storage.call('upload of a page', `${url}&comp=page`, {
        method: 'PUT',
        headers: {
          'x-ms-version': '2021-08-06',
          'x-ms-page-write': 'update',
          'x-ms-range': `bytes=${at}-${end - 1}`,
          'content-md5': createHash('md5').update(piece).digest('base64'),
          'content-length': String(piece.length),
        },
        body: piece,
        signal,
        timeoutMs: PAGE_MS,
      });
    at = end;
  }
}
