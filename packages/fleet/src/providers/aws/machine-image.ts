import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteSnapshotCommand,
  EBSClient,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from '@aws-sdk/client-ebs';
import {
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  type EC2Client,
  RegisterImageCommand,
} from '@aws-sdk/client-ec2';
import { digestHex } from '@lkt/core';
import type { BootMedium } from '@lkt/machine';
import { rawDiskOf } from '../../image/disk-file.ts';
import { type MachineImage, ProviderError } from '../../provider.ts';
import { clientOptions, limitAnswers } from './client.ts';
import { requiredList } from './calls.ts';
import { awsError } from './failure.ts';
import type { AwsSettings } from './settings.ts';

/** Block size of snapshots, fixed by EBS. */
const BLOCK_BYTES = 524_288;
const BLOCKS_AT_ONCE = 8;
const GIB = 2 ** 30;
const POLL_MS = 5000;
/** Tag of images and snapshots with the digest of their source. */
export const DIGEST_TAG = 'lkt.digest';
export const IMAGE_ID: RegExp = /^ami-[0-9a-f]{8,17}$/;
export const SNAPSHOT_ID: RegExp = /^snap-[0-9a-f]{8,17}$/;

/** Returns the AMI of an image, which is named after its digest; undefined if it is missing. */
async function findMachineImage(
  client: EC2Client,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const command = new DescribeImagesCommand({
    Owners: ['self'],
    Filters: [{ Name: 'name', Values: [name] }],
  });
  const { Images } = await client.send(command, { abortSignal: signal }).catch((error) => {
    throw awsError('DescribeImages', error, signal);
  });
  const image = requiredList('DescribeImages', Images).find(
    ({ Name, State }) => Name === name && State === 'available',
  );
  const id = image?.ImageId;
  if (id !== undefined && !IMAGE_ID.test(id))
    throw new ProviderError('malformed', 'aws: an image without a valid id');
  return id;
}

/**
 * Creates an AMI from a disk, and returns its id. The name is the digest, and AWS accepts a name
 * once, so
 * two controllers get the same AMI. The blocks go straight into a snapshot: no bucket, no role.
 * @throws ProviderError
 */
export async function prepareMachineImage(
  client: EC2Client,
  settings: AwsSettings,
  image: MachineImage,
  signal: AbortSignal,
): Promise<string> {
  const { digest } = image;
  const name = `lkt-${digestHex(digest)}`;
  const existing = await findMachineImage(client, name, signal);
  if (existing !== undefined) return existing;
  const disk = rawDiskOf(image, 'aws');
  const snapshot =
    (await findSnapshot(client, digest, signal)) ??
    (await uploadSnapshot(settings, { digest, path: disk.path }, signal));
  await waitForSnapshot(client, snapshot, signal);
  await register(client, { name, digest, snapshot, firmware: disk.firmware }, signal);
  for (;;) {
    const id = await findMachineImage(client, name, signal);
    if (id !== undefined) return id;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Returns the complete snapshot of an image whose AMI was not registered. */
async function findSnapshot(
  client: EC2Client,
  digest: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const command = new DescribeSnapshotsCommand({
    OwnerIds: ['self'],
    Filters: [
      { Name: `tag:${DIGEST_TAG}`, Values: [digest] },
      { Name: 'status', Values: ['completed'] },
    ],
  });
  const { Snapshots } = await client.send(command, { abortSignal: signal }).catch((error) => {
    throw awsError('DescribeSnapshots', error, signal);
  });
  return requiredList('DescribeSnapshots', Snapshots)
    .map(({ SnapshotId }) => SnapshotId ?? '')
    .find((id) => SNAPSHOT_ID.test(id));
}

/** Writes the blocks of a disk that are not all zero into a snapshot. */
async function uploadSnapshot(
  settings: AwsSettings,
  { digest, path }: { readonly digest: string; readonly path: string },
  signal: AbortSignal,
): Promise<string> {
  const client = new EBSClient(clientOptions(settings));
  limitAnswers(client);
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const { SnapshotId = '' } = await client.send(
      new StartSnapshotCommand({
        VolumeSize: Math.max(1, Math.ceil(size / GIB)),
        Description: `lkt ${digest}`,
        // A second controller continues the same snapshot.
        ClientToken: digestHex(digest as MachineImage['digest']).slice(0, 64),
        Timeout: 60,
        Tags: [{ Key: DIGEST_TAG, Value: digest }],
      }),
      { abortSignal: signal },
    );
    if (!SNAPSHOT_ID.test(SnapshotId))
      throw new ProviderError('malformed', 'aws: a snapshot without a valid id');
    let written = 0;
    const put = async (index: number): Promise<void> => {
      const data = Buffer.alloc(BLOCK_BYTES);
      await file.read(data, 0, BLOCK_BYTES, index * BLOCK_BYTES);
      if (data.every((byte) => byte === 0)) return;
      written += 1;
      await client.send(
        new PutSnapshotBlockCommand({
          SnapshotId,
          BlockIndex: index,
          BlockData: data,
          DataLength: BLOCK_BYTES,
          Checksum: createHash('sha256').update(data).digest('base64'),
          ChecksumAlgorithm: 'SHA256',
        }),
        { abortSignal: signal },
      );
    };
    const blocks = Math.ceil(size / BLOCK_BYTES);
    for (let first = 0; first < blocks; first += BLOCKS_AT_ONCE) {
      const count = Math.min(BLOCKS_AT_ONCE, blocks - first);
      await Promise.all(Array.from({ length: count }, async (_, index) => put(first + index)));
    }
    const complete = new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: written });
    await client.send(complete, { abortSignal: signal });
    return SnapshotId;
  } catch (error) {
    throw awsError('upload of a snapshot', error, signal);
  } finally {
    client.destroy();
  }
}

async function waitForSnapshot(
  client: EC2Client,
  snapshot: string,
  signal: AbortSignal,
): Promise<void> {
  const command = new DescribeSnapshotsCommand({ SnapshotIds: [snapshot] });
  for (;;) {
    const { Snapshots } = await client.send(command, { abortSignal: signal }).catch((error) => {
      throw awsError('DescribeSnapshots', error, signal);
    });
    const state = requiredList('DescribeSnapshots', Snapshots)[0]?.State;
    if (state === 'completed') return;
    if (state === 'error')
      throw new ProviderError('unavailable', `aws: the snapshot ${snapshot} failed`, {
        fix: `delete it: aws ec2 delete-snapshot --snapshot-id ${snapshot}`,
      });
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function register(
  client: EC2Client,
  {
    name,
    digest,
    snapshot,
    firmware,
  }: {
    readonly name: string;
    readonly digest: string;
    readonly snapshot: string;
    readonly firmware: BootMedium['firmware'];
  },
  signal: AbortSignal,
): Promise<void> {
  const command = new RegisterImageCommand({
    Name: name,
    Architecture: 'x86_64',
    VirtualizationType: 'hvm',
    EnaSupport: true,
    ImdsSupport: 'v2.0',
    RootDeviceName: '/dev/xvda',
    BootMode: firmware === 'efi' ? 'uefi' : 'legacy-bios',
    ...(firmware === 'efi' ? { TpmSupport: 'v2.0' } : {}),
    BlockDeviceMappings: [
      {
        DeviceName: '/dev/xvda',
        Ebs: { SnapshotId: snapshot, VolumeType: 'gp3', DeleteOnTermination: true },
      },
    ],
    TagSpecifications: [{ ResourceType: 'image', Tags: [{ Key: DIGEST_TAG, Value: digest }] }],
  });
  try {
    await client.send(command, { abortSignal: signal });
  } catch (error) {
    const failed = awsError('RegisterImage', error, signal);
    // Another controller was faster.
    if (!(failed instanceof ProviderError && failed.failure === 'conflict')) throw failed;
  }
}
