import {
  AutoScalingClient,
  type AutoScalingGroup,
  CancelInstanceRefreshCommand,
  CreateAutoScalingGroupCommand,
  CreateOrUpdateTagsCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  type InstanceRefresh,
  StartInstanceRefreshCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DescribeInstancesCommand,
  DescribeLaunchTemplateVersionsCommand,
  EC2Client,
  type Instance,
  ModifyLaunchTemplateCommand,
  type RequestLaunchTemplateData,
} from '@aws-sdk/client-ec2';
import { formatDescription, parseDescription } from '../../engine/description.ts';
import type { Engine, EngineGroup, EngineRequest } from '../../engine/engine.ts';
import { type CallOptions, type MachineImage, ProviderError } from '../../provider.ts';
import { awsCall, awsPages, requiredList } from '../aws/calls.ts';
import { clientOptions, limitAnswers } from '../aws/client.ts';
import { prepareMachineImage } from '../aws/machine-image.ts';
import { machineInput, MAX_USER_DATA_BYTES } from '../aws/machine-input.ts';
import type { AsgGroupSettings, AwsSettings } from '../aws/settings.ts';
import { groupOf, nameOf, TAGS, TEMPLATE_TAG, type TemplateVersion } from './group.ts';
import { AsgImages } from './images.ts';
import { limitsOf, percentagesOf, seconds, tagsOf } from './limits.ts';

const DAY_MS = 86_400_000;
const PAGE_SIZE = 100;
const VERSIONS_PAGE = 200;
const MAX_FILTER_VALUES = 200;

/**
 * Keeps groups by EC2 Auto Scaling: a launch template has a version for each spec, and instance
 * refreshes roll.
 */
export class AsgEngine implements Engine {
  readonly images: AsgImages;
  readonly #settings: AwsSettings;
  readonly #ec2: EC2Client;
  readonly #scaling: AutoScalingClient;

  constructor(settings: AwsSettings) {
    this.#settings = settings;
    this.#ec2 = new EC2Client(clientOptions(settings));
    this.#scaling = new AutoScalingClient(clientOptions(settings));
    limitAnswers(this.#ec2);
    limitAnswers(this.#scaling);
    this.images = new AsgImages(this.#ec2, this.#scaling);
  }

  readonly keepsAges = true;

  readonly check: Engine['check'] = (request) => {
    const { expireAfterMs, metadata, size, surge, unavailable } = request;
    if (expireAfterMs !== undefined && (expireAfterMs < DAY_MS || expireAfterMs > 365 * DAY_MS))
      return {
        keys: ['expire', 'after'],
        message: 'Auto Scaling keeps a maximum age between 1d and 365d only',
        fix: 'write an age within it',
      };
    if (size > 0 && surge + unavailable > size)
      return {
        keys: ['roll'],
        message: `surge and unavailable are together more than the ${size} of the group`,
        fix: 'lower one: Auto Scaling bounds healthy nodes within 100% of the size',
      };
    if (metadata !== undefined && metadata.length > MAX_USER_DATA_BYTES)
      return {
        keys: ['template', 'metadata'],
        message: `metadata of ${metadata.length} bytes exceeds the ${MAX_USER_DATA_BYTES} of EC2`,
        fix: 'put large files into the image',
      };
    return undefined;
  };

  async prepare(image: MachineImage, { signal }: CallOptions): Promise<string> {
    signal.throwIfAborted();
    return prepareMachineImage(this.#ec2, this.#settings, image, signal);
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly EngineGroup[]> {
    const groups = await this.#groups(fleet, signal);
    if (groups.length === 0) return [];
    const instances = await this.#instances(groups, signal);
    const found: EngineGroup[] = [];
    for (const group of groups) {
      const name = group.AutoScalingGroupName ?? '';
      const versions = await this.#versions(name, signal);
      const refresh = await this.#refresh(name, signal);
      found.push(groupOf({ group, refresh, versions, instances }));
    }
    return found;
  }

  async state(
    request: EngineRequest,
    image: string,
    stated: string,
    current: EngineGroup | undefined,
    { generation, signal }: CallOptions,
  ): Promise<void> {
    const { fleet, group } = request;
    const name = nameOf(fleet, group);
    const tags = tagsOf(name, { fleet, group, generation: String(generation), stated });
    if (current !== undefined) {
      await this.#call('UpdateAutoScalingGroup', signal, async (abortSignal) =>
        this.#scaling.send(
          new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: name, ...limitsOf(request) }),
          { abortSignal },
        ),
      );
      await this.#tag(tags, signal);
      return;
    }
    const version = await this.#ensureVersion(request, image, signal);
    const settings = request.settings as AsgGroupSettings;
    const { targetGroups, subnets } = settings;
    const command = new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: name,
      LaunchTemplate: { LaunchTemplateName: name, Version: version },
      VPCZoneIdentifier: subnets.join(','),
      HealthCheckType: targetGroups.length === 0 ? 'EC2' : 'ELB',
      ...(targetGroups.length === 0 ? {} : { TargetGroupARNs: [...targetGroups] }),
      ...limitsOf(request),
      Tags: tags,
    });
    await this.#call(
      'CreateAutoScalingGroup',
      signal,
      async (abortSignal) => this.#scaling.send(command, { abortSignal }),
      // Another controller was faster.
      'conflict',
    );
  }

  async roll(
    request: EngineRequest,
    image: string,
    _current: EngineGroup,
    { generation, signal }: CallOptions,
  ): Promise<void> {
    const { fleet, group, rollback, minReadyMs } = request;
    const name = nameOf(fleet, group);
    const version = await this.#ensureVersion(request, image, signal);
    await this.#tag(tagsOf(name, { generation: String(generation) }), signal);
    // The group keeps its template until the roll succeeds, so a rollback leads to the earlier one.
    const command = new StartInstanceRefreshCommand({
      AutoScalingGroupName: name,
      Strategy: 'Rolling',
      DesiredConfiguration: { LaunchTemplate: { LaunchTemplateName: name, Version: version } },
      Preferences: {
        ...percentagesOf(request),
        InstanceWarmup: seconds(minReadyMs),
        SkipMatching: true,
        AutoRollback: rollback === 'auto',
      },
    });
    await this.#call(
      'StartInstanceRefresh',
      signal,
      async (abortSignal) => this.#scaling.send(command, { abortSignal }),
      'conflict',
    );
  }

  async stop({ fleet, group }: EngineGroup, { signal }: CallOptions): Promise<void> {
    const command = new CancelInstanceRefreshCommand({
      AutoScalingGroupName: nameOf(fleet, group),
    });
    await this.#call(
      'CancelInstanceRefresh',
      signal,
      async (abortSignal) => this.#scaling.send(command, { abortSignal }),
      // It has ended meanwhile.
      'missing',
    );
  }

  async setDefault({ fleet, group, runs }: EngineGroup, { signal }: CallOptions): Promise<void> {
    const name = nameOf(fleet, group);
    const versions = await this.#versions(name, signal);
    const groups = await this.#groups(fleet, signal);
    const own = groups.find((one) => one.AutoScalingGroupName === name)?.LaunchTemplate?.Version;
    const version = versions.get(own ?? '');
    if (version === undefined || version.runs.spec !== runs?.spec) return;
    const command = new ModifyLaunchTemplateCommand({
      LaunchTemplateName: name,
      DefaultVersion: version.version,
    });
    await this.#call('ModifyLaunchTemplate', signal, async (abortSignal) =>
      this.#ec2.send(command, { abortSignal }),
    );
  }

  async replace(_current: EngineGroup, node: string, { signal }: CallOptions): Promise<void> {
    const command = new TerminateInstanceInAutoScalingGroupCommand({
      InstanceId: node,
      ShouldDecrementDesiredCapacity: false,
    });
    await this.#call('TerminateInstanceInAutoScalingGroup', signal, async (abortSignal) =>
      this.#scaling.send(command, { abortSignal }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ec2.destroy();
    this.#scaling.destroy();
  }

  async #groups(fleet: string, signal: AbortSignal): Promise<readonly AutoScalingGroup[]> {
    const groups: AutoScalingGroup[] = [];
    await awsPages('DescribeAutoScalingGroups', signal, async (token, abortSignal) => {
      const command = new DescribeAutoScalingGroupsCommand({
        Filters: [{ Name: `tag:${TAGS.fleet}`, Values: [fleet] }],
        MaxRecords: PAGE_SIZE,
        ...token,
      });
      const { AutoScalingGroups, NextToken } = await this.#scaling.send(command, {
        abortSignal,
      });
      groups.push(...requiredList('DescribeAutoScalingGroups', AutoScalingGroups));
      return NextToken;
    });
    return groups;
  }

  /** Returns the instances of groups, by their ids: their ages and addresses. */
  async #instances(
    groups: readonly AutoScalingGroup[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Instance>> {
    const found = new Map<string, Instance>();
    const names = groups.map(({ AutoScalingGroupName: name = '' }) => name);
    for (let at = 0; at < names.length; at += MAX_FILTER_VALUES)
      await this.#addInstances(names.slice(at, at + MAX_FILTER_VALUES), found, signal);
    return found;
  }

  async #addInstances(
    names: readonly string[],
    found: Map<string, Instance>,
    signal: AbortSignal,
  ): Promise<void> {
    await awsPages('DescribeInstances', signal, async (token, abortSignal) => {
      const command = new DescribeInstancesCommand({
        // Auto Scaling sets this tag.
        Filters: [{ Name: 'tag:aws:autoscaling:groupName', Values: [...names] }],
        MaxResults: 1000,
        ...token,
      });
      const { Reservations, NextToken } = await this.#ec2.send(command, { abortSignal });
      for (const { Instances } of requiredList('DescribeInstances', Reservations))
        for (const one of requiredList('DescribeInstances', Instances))
          found.set(one.InstanceId ?? '', one);
      return NextToken;
    });
  }

  /** Returns the versions of a launch template that lkt wrote, by spec. */
  async #versions(
    name: string,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, TemplateVersion>> {
    const found = new Map<string, TemplateVersion>();
    await awsPages('DescribeLaunchTemplateVersions', signal, async (token, abortSignal) => {
      const command = new DescribeLaunchTemplateVersionsCommand({
        LaunchTemplateName: name,
        MaxResults: VERSIONS_PAGE,
        ...token,
      });
      const { LaunchTemplateVersions, NextToken } = await this.#ec2.send(command, {
        abortSignal,
      });
      const versions = requiredList('DescribeLaunchTemplateVersions', LaunchTemplateVersions);
      for (const { VersionNumber, VersionDescription, ...one } of versions) {
        const runs = parseDescription(VersionDescription);
        const image = one.LaunchTemplateData?.ImageId;
        if (runs === undefined || VersionNumber === undefined) continue;
        const version = String(VersionNumber);
        found.set(version, { version, runs, image, isDefault: one.DefaultVersion === true });
      }
      return NextToken;
    });
    return found;
  }

  async #refresh(name: string, signal: AbortSignal): Promise<InstanceRefresh | undefined> {
    const command = new DescribeInstanceRefreshesCommand({
      AutoScalingGroupName: name,
      MaxRecords: 1,
    });
    const answer = await this.#call('DescribeInstanceRefreshes', signal, async (abortSignal) =>
      this.#scaling.send(command, { abortSignal }),
    );
    return requiredList('DescribeInstanceRefreshes', answer?.InstanceRefreshes)[0];
  }

  /** Returns the version of a spec; creates it, and the template, if it is missing. */
  async #ensureVersion(
    request: EngineRequest,
    image: string,
    signal: AbortSignal,
  ): Promise<string> {
    const { fleet, group, spec, metadata } = request;
    const name = nameOf(fleet, group);
    // Without those of single instances, which the provider aws lists.
    const tags = [
      { Key: 'Name', Value: name },
      { Key: TEMPLATE_TAG, Value: `${fleet}.${group}` },
    ];
    const data: RequestLaunchTemplateData = {
      ...machineInput(image, request.settings as AsgGroupSettings, metadata),
      TagSpecifications: [
        { ResourceType: 'instance', Tags: [...tags, { Key: 'lkt.spec', Value: spec }] },
        { ResourceType: 'volume', Tags: tags },
      ],
    };
    const known = await this.#versions(name, signal).catch((error: unknown) => {
      if (error instanceof ProviderError && error.failure === 'missing') return undefined;
      throw error;
    });
    // An image that was removed and recreated has a new id.
    const isOwn = (one: TemplateVersion): boolean => one.runs.spec === spec && one.image === image;
    const own = [...(known?.values() ?? [])].find(isOwn);
    if (own !== undefined) return own.version;
    const latest = Math.max(0, ...[...(known?.keys() ?? [])].map(Number));
    const input = {
      LaunchTemplateName: name,
      VersionDescription: formatDescription(request),
      // A second controller gets the same version. AWS remembers tokens of deleted ones, too.
      ClientToken: `${spec}-${image}-${latest}`,
      LaunchTemplateData: data,
    };
    if (known === undefined) {
      const command = new CreateLaunchTemplateCommand({
        ...input,
        TagSpecifications: [{ ResourceType: 'launch-template', Tags: tags }],
      });
      await this.#call(
        'CreateLaunchTemplate',
        signal,
        async (abortSignal) => this.#ec2.send(command, { abortSignal }),
        'conflict',
      );
    } else {
      const command = new CreateLaunchTemplateVersionCommand(input);
      await this.#call('CreateLaunchTemplateVersion', signal, async (abortSignal) =>
        this.#ec2.send(command, { abortSignal }),
      );
    }
    const versions = await this.#versions(name, signal);
    const created = [...versions.values()].find(isOwn);
    if (created !== undefined) return created.version;
    throw new ProviderError(
      'unavailable',
      `aws: the launch template ${name} lacks its new version`,
    );
  }

  async #tag(Tags: ReturnType<typeof tagsOf>, signal: AbortSignal): Promise<void> {
    const command = new CreateOrUpdateTagsCommand({ Tags });
    await this.#call('CreateOrUpdateTags', signal, async (abortSignal) =>
      this.#scaling.send(command, { abortSignal }),
    );
  }

  /** @throws ProviderError, unless it is of the kind `ignored` */
  async #call<T>(
    what: string,
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
    ignored?: ProviderError['failure'],
  ): Promise<T | undefined> {
    try {
      return await awsCall(what, signal, run);
    } catch (error) {
      if (error instanceof ProviderError && error.failure === ignored) return undefined;
      throw error;
    }
  }
}
