import {
  type AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  DeleteLaunchTemplateVersionsCommand,
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  type EC2Client,
  type LaunchTemplateVersion,
} from '@aws-sdk/client-ec2';
import { parseDescription } from '../../engine/description.ts';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { ProviderError } from '../../provider.ts';
import { awsCall, awsPages, requiredList } from '../aws/calls.ts';
import { TEMPLATE_TAG } from './group.ts';

type Options = { readonly signal: AbortSignal };

const PAGE_SIZE = 200;
/** Name of a template, and number of a version. */
const ID = /^(lkt\.[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*):(\d{1,10})$/;

/** The versions of launch templates that lkt wrote: parts of the images that they name. */
export class TemplateVersions implements ImageKeeper {
  readonly #ec2: EC2Client;
  readonly #scaling: AutoScalingClient;
  /** Versions that groups use, by template, since the last list. */
  readonly #used = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(ec2: EC2Client, scaling: AutoScalingClient) {
    this.#ec2 = ec2;
    this.#scaling = scaling;
  }

  /** Reports whether an id names a template version. */
  owns(id: string): boolean {
    return ID.test(id);
  }

  /** Returns the versions except the latest and the default one of each template. */
  async list({ signal }: Options): Promise<readonly KeptImage[]> {
    this.#used.clear();
    const names: string[] = [];
    await awsPages('DescribeLaunchTemplates', signal, async (token, abortSignal) => {
      const command = new DescribeLaunchTemplatesCommand({
        Filters: [{ Name: 'tag-key', Values: [TEMPLATE_TAG] }],
        MaxResults: PAGE_SIZE,
        ...token,
      });
      const { LaunchTemplates, NextToken } = await this.#ec2.send(command, { abortSignal });
      names.push(
        ...requiredList('DescribeLaunchTemplates', LaunchTemplates).map(
          ({ LaunchTemplateName = '' }) => LaunchTemplateName,
        ),
      );
      return NextToken;
    });
    const found: KeptImage[] = [];
    for (const name of names) {
      const versions = await this.#versions(name, signal);
      const latest = Math.max(...versions.map(({ VersionNumber = 0 }) => VersionNumber));
      for (const { VersionNumber = latest, VersionDescription, ...one } of versions) {
        const digest = parseDescription(VersionDescription)?.image;
        const id = `${name}:${VersionNumber}`;
        const isKept = VersionNumber === latest || one.DefaultVersion === true;
        if (digest === undefined || isKept || !ID.test(id)) continue;
        const created = one.CreateTime?.getTime() ?? Infinity;
        found.push({ id, digest, created, isRemade: true });
      }
    }
    return found;
  }

  async isUsed({ id }: KeptImage, { signal }: Options): Promise<boolean> {
    const [, name = '', version = ''] = ID.exec(id) ?? [];
    let used = this.#used.get(name);
    if (used === undefined) this.#used.set(name, (used = this.#versionsInUse(name, signal)));
    return (await used).has(version);
  }

  async remove({ id }: KeptImage, { signal }: Options): Promise<void> {
    const [, name = '', version = ''] = ID.exec(id) ?? [];
    if (name === '') return;
    const command = new DeleteLaunchTemplateVersionsCommand({
      LaunchTemplateName: name,
      Versions: [version],
    });
    const answer = await awsCall('DeleteLaunchTemplateVersions', signal, async (abortSignal) =>
      this.#ec2.send(command, { abortSignal }),
    );
    // The response lists errors per version.
    for (const { ResponseError } of answer.UnsuccessfullyDeletedLaunchTemplateVersions ?? [])
      if (!/DoesNotExist$/i.test(ResponseError?.Code ?? ''))
        throw new ProviderError('unavailable', `aws: the version ${id} is not deleted`, {
          cause: new Error(`${ResponseError?.Code}: ${ResponseError?.Message}`),
        });
  }

  async #versions(name: string, signal: AbortSignal): Promise<readonly LaunchTemplateVersion[]> {
    const versions: LaunchTemplateVersion[] = [];
    await awsPages('DescribeLaunchTemplateVersions', signal, async (token, abortSignal) => {
      const command = new DescribeLaunchTemplateVersionsCommand({
        LaunchTemplateName: name,
        MaxResults: PAGE_SIZE,
        ...token,
      });
      const answer = await this.#ec2.send(command, { abortSignal });
      versions.push(
        ...requiredList('DescribeLaunchTemplateVersions', answer.LaunchTemplateVersions),
      );
      return answer.NextToken;
    });
    return versions;
  }

  /** Returns the versions that a group, its instances or its last refresh name. */
  async #versionsInUse(name: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const used = new Set<string>();
    const groups = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] });
    const answer = await awsCall('DescribeAutoScalingGroups', signal, async (abortSignal) =>
      this.#scaling.send(groups, { abortSignal }),
    );
    const found = requiredList('DescribeAutoScalingGroups', answer.AutoScalingGroups);
    for (const { LaunchTemplate, Instances } of found) {
      const members = requiredList('DescribeAutoScalingGroups', Instances);
      for (const template of [LaunchTemplate, ...members.map((one) => one.LaunchTemplate)])
        if (template?.Version !== undefined) used.add(template.Version);
    }
    if (found.length === 0) return used;
    const refreshes = new DescribeInstanceRefreshesCommand({
      AutoScalingGroupName: name,
      MaxRecords: 1,
    });
    const { InstanceRefreshes } = await awsCall(
      'DescribeInstanceRefreshes',
      signal,
      async (abortSignal) => this.#scaling.send(refreshes, { abortSignal }),
    );
    const [last] = requiredList('DescribeInstanceRefreshes', InstanceRefreshes);
    const wanted = last?.DesiredConfiguration?.LaunchTemplate?.Version;
    if (wanted !== undefined) used.add(wanted);
    return used;
  }
}
