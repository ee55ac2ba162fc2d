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
import { awsError } from './failure.ts';
import { DIGEST_TAG, IMAGE_ID, SNAPSHOT_ID } from './machine-image.ts';

type Options = { readonly signal: AbortSignal };

const PAGE_SIZE = 200;
const MAX_PAGES = 500;
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
    await this.#pages('DescribeImages', signal, async (page) => {
      const command = new DescribeImagesCommand({ Owners: ['self'], Filters, ...page });
      const { Images = [], NextToken } = await this.#client.send(command, { abortSignal: signal });
      for (const { ImageId = '', Name = '', CreationDate = '' } of Images) {
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
    const { Reservations = [] } = await this.#call('DescribeInstances', signal, async () =>
      this.#client.send(instances, { abortSignal: signal }),
    );
    if (Reservations.length > 0) return true;
    let isUsed = false;
    await this.#pages('DescribeLaunchTemplateVersions', signal, async (page) => {
      const command = new DescribeLaunchTemplateVersionsCommand({
        Versions: ['$Latest', '$Default'],
        ...page,
      });
      const answer = await this.#client.send(command, { abortSignal: signal });
      for (const { LaunchTemplateData: data } of answer.LaunchTemplateVersions ?? [])
        isUsed ||= data?.ImageId === id;
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
    await this.#pages('DescribeSnapshots', signal, async (page) => {
      const own = { OwnerIds: ['self'], Filters: [filter] };
      const command = new DescribeSnapshotsCommand({ ...own, ...page });
      const answer = await this.#client.send(command, { abortSignal: signal });
      for (const { SnapshotId = '', StartTime, Tags = [] } of answer.Snapshots ?? []) {
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
    await this.#call('DeregisterImage', signal, async () =>
      this.#client.send(new DeregisterImageCommand({ ImageId: id }), { abortSignal: signal }),
    ).catch(unlessGone);
  }

  async #deleteSnapshot(id: string, signal: AbortSignal): Promise<void> {
    await this.#call('DeleteSnapshot', signal, async () =>
      this.#client.send(new DeleteSnapshotCommand({ SnapshotId: id }), { abortSignal: signal }),
    ).catch(unlessGone);
  }

  async #call<T>(what: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    return run().catch((error: unknown) => {
      throw awsError(what, error, signal);
    });
  }

  async #pages(
    what: string,
    signal: AbortSignal,
    read: (page: { MaxResults: number; NextToken?: string }) => Promise<string | undefined>,
  ): Promise<void> {
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const from = token === undefined ? {} : { NextToken: token };
      token = await this.#call(what, signal, async () => read({ MaxResults: PAGE_SIZE, ...from }));
      if (token === undefined || token === '') return;
    }
    throw new ProviderError('nonsense', `aws: ${what} has more than ${MAX_PAGES} pages`);
  }
}

function unlessGone(error: unknown): void {
  const isGone =
    error instanceof ProviderError &&
    /Invalid(?:AMIID|Snapshot)\.(?:NotFound|Unavailable)/.test(error.message);
  if (!isGone) throw error;
}
