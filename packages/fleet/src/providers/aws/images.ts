import {
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeSnapshotsCommand,
  type EC2Client,
  type Filter,
} from '@aws-sdk/client-ec2';
import { digestFromHex, isDigest } from '@lkt/core';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { ProviderError } from '../../provider.ts';
import { awsCall, awsPages, requiredList } from './calls.ts';
import { DIGEST_TAG, IMAGE_ID, SNAPSHOT_ID } from './machine-image.ts';

type Options = { readonly signal: AbortSignal };

const PAGE_SIZE = 200;
/** All but terminated ones. */
const STATES = ['pending', 'running', 'shutting-down', 'stopping', 'stopped'];

/** The AMIs of an account and region, with their snapshots. */
export class AwsImages implements ImageKeeper {
  readonly #client: EC2Client;

  constructor(client: EC2Client) {
    this.#client = client;
  }

  async list({ signal }: Options): Promise<readonly KeptImage[]> {
    const images: KeptImage[] = [];
    const Filters = [{ Name: 'name', Values: ['lkt-*'] }];
    await awsPages('DescribeImages', signal, async (token, abortSignal) => {
      const page = { MaxResults: PAGE_SIZE, ...token };
      const command = new DescribeImagesCommand({ Owners: ['self'], Filters, ...page });
      const { Images, NextToken } = await this.#client.send(command, { abortSignal });
      for (const { ImageId = '', Name = '', CreationDate = '' } of requiredList(
        'DescribeImages',
        Images,
      )) {
        const digest = digestFromHex(Name.slice('lkt-'.length));
        if (IMAGE_ID.test(ImageId) && digest !== undefined)
          images.push({ id: ImageId, digest, created: Date.parse(CreationDate) });
      }
      return NextToken;
    });
    const digests = new Set(images.map(({ digest }) => digest));
    // The AMI of a snapshot may never have been registered.
    const snapshots = await this.#snapshots({ Name: 'tag-key', Values: [DIGEST_TAG] }, signal);
    return [...images, ...snapshots.filter(({ digest }) => !digests.has(digest))];
  }

  async isUsed({ id }: KeptImage, { signal }: Options): Promise<boolean> {
    if (!IMAGE_ID.test(id)) return false;
    const instances = new DescribeInstancesCommand({
      Filters: [
        { Name: 'image-id', Values: [id] },
        { Name: 'instance-state-name', Values: STATES },
      ],
    });
    const { Reservations } = await awsCall('DescribeInstances', signal, async () =>
      this.#client.send(instances, { abortSignal: signal }),
    );
    if (requiredList('DescribeInstances', Reservations).length > 0) return true;
    let isUsed = false;
    await awsPages('DescribeLaunchTemplateVersions', signal, async (token, abortSignal) => {
      const command = new DescribeLaunchTemplateVersionsCommand({
        Versions: ['$Latest', '$Default'],
        MaxResults: PAGE_SIZE,
        ...token,
      });
      const answer = await this.#client.send(command, { abortSignal });
      const versions = requiredList(
        'DescribeLaunchTemplateVersions',
        answer.LaunchTemplateVersions,
      );
      for (const { LaunchTemplateData: data } of versions) isUsed ||= data?.ImageId === id;
      return answer.NextToken;
    });
    return isUsed;
  }

  async remove({ id, digest }: KeptImage, { signal }: Options): Promise<void> {
    if (IMAGE_ID.test(id)) await this.#deregister(id, signal);
    const filter = { Name: `tag:${DIGEST_TAG}`, Values: [digest] };
    for (const snapshot of await this.#snapshots(filter, signal))
      await this.#deleteSnapshot(snapshot.id, signal);
  }

  async #snapshots(filter: Filter, signal: AbortSignal): Promise<readonly KeptImage[]> {
    const found: KeptImage[] = [];
    await awsPages('DescribeSnapshots', signal, async (token, abortSignal) => {
      const own = { OwnerIds: ['self'], Filters: [filter], MaxResults: PAGE_SIZE };
      const command = new DescribeSnapshotsCommand({ ...own, ...token });
      const answer = await this.#client.send(command, { abortSignal });
      const snapshots = requiredList('DescribeSnapshots', answer.Snapshots);
      for (const { SnapshotId = '', StartTime, Tags = [] } of snapshots) {
        const digest = Tags.find(({ Key }) => Key === DIGEST_TAG)?.Value ?? '';
        const created = StartTime?.getTime() ?? Infinity;
        if (SNAPSHOT_ID.test(SnapshotId) && isDigest(digest))
          found.push({ id: SnapshotId, digest, created });
      }
      return answer.NextToken;
    });
    return found;
  }

  async #deregister(id: string, signal: AbortSignal): Promise<void> {
    await awsCall('DeregisterImage', signal, async () =>
      this.#client.send(new DeregisterImageCommand({ ImageId: id }), { abortSignal: signal }),
    ).catch(unlessGone);
  }

  async #deleteSnapshot(id: string, signal: AbortSignal): Promise<void> {
    await awsCall('DeleteSnapshot', signal, async () =>
      this.#client.send(new DeleteSnapshotCommand({ SnapshotId: id }), { abortSignal: signal }),
    ).catch(unlessGone);
  }
}

function unlessGone(error: unknown): void {
  const isGone =
    error instanceof ProviderError &&
    /Invalid(?:AMIID|Snapshot)\.(?:NotFound|Unavailable)/.test(error.message);
  if (!isGone) throw error;
}
