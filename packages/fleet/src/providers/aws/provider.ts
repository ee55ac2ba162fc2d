import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeInstancesCommand,
  EC2Client,
  type Filter,
  GetConsoleOutputCommand,
  type Instance,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { Node } from '../../node.ts';
import { formatLabels, NAME, type NodeLabels } from '../../node-labels.ts';
import {
  type CallOptions,
  type Capabilities,
  MAX_CONSOLE_BYTES,
  type MachineImage,
  type NodeRequest,
  type Provider,
  ProviderError,
} from '../../provider.ts';
import { requireGeneration } from '../fence.ts';
import { requireSameNode } from '../same-node.ts';
import { clientOptions, limitAnswers } from './client.ts';
import { requiredList } from './calls.ts';
import { awsError } from './failure.ts';
import { AwsImages } from './images.ts';
import { FLEET_TAG, isInstanceId, NAME_TAG, nodeOf, tagsOf } from './instance.ts';
import { prepareMachineImage } from './machine-image.ts';
import { machineInput } from './machine-input.ts';
import type { AwsGroupSettings, AwsSettings } from './settings.ts';

const PAGE_SIZE = 1000;
const MAX_PAGES = 200;
const CREATE_TRIES = 5;
const RETRY_MS = 1000;

/**
 * Runs nodes as EC2 instances. Tags have the name and labels of each.
 *
 * AWS has no unique names, so a client token is the lock: the hash of the fleet, the name, the
 * spec, and the terminated instances that had the name. Two controllers with the same view send the
 * same token, and AWS answers the second with the instance of the first.
 */
export class AwsProvider implements Provider {
  readonly capabilities: Capabilities = {
    fencing: false,
    console: true,
    volumes: false,
    metadata: true,
  };
  readonly images: AwsImages;
  readonly #settings: AwsSettings;
  readonly #client: EC2Client;

  constructor(settings: AwsSettings) {
    this.#settings = settings;
    this.#client = new EC2Client(clientOptions(settings));
    limitAnswers(this.#client);
    this.images = new AwsImages(this.#client);
  }

  async prepare(image: MachineImage, { signal }: CallOptions): Promise<string> {
    signal.throwIfAborted();
    return prepareMachineImage(this.#client, this.#settings, image, signal);
  }

  async create(request: NodeRequest, { signal }: CallOptions): Promise<void> {
    const { name, labels } = request;
    signal.throwIfAborted();
    const input = runInput(request);
    const ended = new Set<string>();
    for (let tries = 0; tries < CREATE_TRIES; tries += 1) {
      const instances = await this.#describe(labels.fleet, signal, [
        { Name: `tag:${NAME_TAG}`, Values: [name] },
      ]);
      if (hasNode(instances, name, labels)) return;
      for (const { InstanceId = '' } of instances) ended.add(InstanceId);
      const token = clientToken(name, labels, ended);
      const command = new RunInstancesCommand({ ...input, ClientToken: token });
      try {
        const { Instances = [] } = await this.#client.send(command, { abortSignal: signal });
        const created = Instances[0];
        if (created?.InstanceId === undefined || !isInstanceId(created.InstanceId))
          throw new ProviderError('malformed', 'aws: RunInstances returned no instance');
        // AWS remembers a token for longer than it lists the ended instance.
        if (!['shutting-down', 'terminated'].includes(created.State?.Name ?? '')) return;
        ended.add(created.InstanceId);
      } catch (error) {
        const failed = awsError('RunInstances', error, signal);
        // Another controller sent the same token with other labels: its node is listed soon.
        if (!(failed instanceof ProviderError && failed.failure === 'conflict')) throw failed;
        if (tries === CREATE_TRIES - 1) throw failed;
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
    throw new ProviderError('unavailable', `aws: the instances of ${name} terminate immediately`);
  }

  async destroy(id: string, options: CallOptions & { readonly graceMs: number }): Promise<void> {
    const node = await this.#find(id, options.signal);
    if (node === undefined || node.power === 'terminating') return;
    requireGeneration(node.name, node.labels, options);
    const command = new TerminateInstancesCommand({
      InstanceIds: [id],
      ...(options.graceMs === 0 ? { SkipOsShutdown: true } : {}),
    });
    try {
      await this.#client.send(command, { abortSignal: options.signal });
    } catch (error) {
      const failed = awsError('TerminateInstances', error, options.signal);
      if (!(failed instanceof ProviderError && failed.failure === 'missing')) throw failed;
    }
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Node[]> {
    const instances = await this.#describe(fleet, signal);
    return instances.map(nodeOf).filter((node) => node !== undefined);
  }

  async label(id: string, labels: NodeLabels, options: CallOptions): Promise<void> {
    const { signal } = options;
    const node = await this.#find(id, signal);
    if (node === undefined) throw new ProviderError('missing', `there is no instance ${id}`);
    requireGeneration(node.name, node.labels, options);
    const wanted = tagsOf(node.name, labels);
    const keys = new Set(wanted.map(({ Key }) => Key));
    const old = Object.keys(formatLabels(node.labels)).filter((key) => !keys.has(key));
    try {
      const create = new CreateTagsCommand({ Resources: [id], Tags: [...wanted] });
      await this.#client.send(create, { abortSignal: signal });
      if (old.length === 0) return;
      const remove = new DeleteTagsCommand({
        Resources: [id],
        Tags: old.map((Key) => ({ Key })),
      });
      await this.#client.send(remove, { abortSignal: signal });
    } catch (error) {
      throw awsError('CreateTags', error, signal);
    }
  }

  async console(id: string, { signal }: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    if ((await this.#find(id, signal)) === undefined) return new Uint8Array();
    const read = async (latest: boolean): Promise<Uint8Array> => {
      const command = new GetConsoleOutputCommand({ InstanceId: id, Latest: latest });
      const { Output = '' } = await this.#client.send(command, { abortSignal: signal });
      return Buffer.from(Output, 'base64').subarray(-MAX_CONSOLE_BYTES);
    };
    try {
      return await read(true);
    } catch (error) {
      const failed = awsError('GetConsoleOutput', error, signal);
      // Only Nitro instances have the latest output at any time.
      if (!(failed instanceof ProviderError && failed.failure === 'invalid')) throw failed;
    }
    return read(false).catch((error: unknown) => {
      throw awsError('GetConsoleOutput', error, signal);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  /** Returns all instances of a fleet, also terminated ones. @throws ProviderError */
  async #describe(
    fleet: string,
    signal: AbortSignal,
    filters: readonly Filter[] = [],
  ): Promise<readonly Instance[]> {
    signal.throwIfAborted();
    const instances: Instance[] = [];
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const command = new DescribeInstancesCommand({
        Filters: [{ Name: `tag:${FLEET_TAG}`, Values: [fleet] }, ...filters],
        MaxResults: PAGE_SIZE,
        ...(token === undefined ? {} : { NextToken: token }),
      });
      const { Reservations, NextToken } = await this.#client
        .send(command, { abortSignal: signal })
        .catch((error: unknown) => {
          throw awsError('DescribeInstances', error, signal);
        });
      for (const reservation of requiredList('DescribeInstances', Reservations))
        instances.push(...requiredList('DescribeInstances', reservation.Instances));
      if (NextToken === undefined || NextToken === '') return instances;
      token = NextToken;
    }
    throw new ProviderError('malformed', `aws: DescribeInstances has more than ${MAX_PAGES} pages`);
  }

  /** Returns a node by its id; undefined if it is gone or not one of lkt's. */
  async #find(id: string, signal: AbortSignal): Promise<Node | undefined> {
    signal.throwIfAborted();
    if (!isInstanceId(id)) return undefined;
    const command = new DescribeInstancesCommand({ InstanceIds: [id] });
    try {
      const { Reservations } = await this.#client.send(command, { abortSignal: signal });
      const [found] = requiredList('DescribeInstances', Reservations);
      const [instance] =
        found === undefined ? [] : requiredList('DescribeInstances', found.Instances);
      return instance === undefined ? undefined : nodeOf(instance);
    } catch (error) {
      const failed = awsError('DescribeInstances', error, signal);
      if (failed instanceof ProviderError && failed.failure === 'missing') return undefined;
      throw failed;
    }
  }
}

function invalid(message: string, fix?: string): ProviderError {
  return new ProviderError('invalid', message, { fix });
}

/** Returns the parameters of an instance. @throws ProviderError `invalid` */
function runInput({
  name,
  image,
  labels,
  template,
  metadata,
  settings,
}: NodeRequest): RunInstancesCommandInput {
  if (!NAME.test(name)) throw invalid(`"${name}" is not a valid node name`);
  const group = settings as AwsGroupSettings | undefined;
  if (group === undefined)
    throw invalid(`the group ${labels.group} has no settings for aws`, 'add aws: instanceType:');
  if (template.volumes.length > 0)
    throw invalid('aws: nodes cannot have volumes yet', 'remove volumes from the group');
  const tags = [...tagsOf(name, labels)];
  return {
    ...machineInput(image, group, metadata),
    MinCount: 1,
    MaxCount: 1,
    // A guest that ends by itself stays as evidence, until the controller replaces it.
    InstanceInitiatedShutdownBehavior: 'stop',
    TagSpecifications: [
      { ResourceType: 'instance', Tags: tags },
      { ResourceType: 'volume', Tags: tags.filter(({ Key }) => /^lkt\.(?:fleet|name)$/.test(Key)) },
    ],
  };
}

/** Reports whether a node exists as wanted. @throws ProviderError `conflict`, `invalid` */
function hasNode(instances: readonly Instance[], name: string, labels: NodeLabels): boolean {
  for (const instance of instances) {
    const node = nodeOf(instance);
    if (node === undefined) continue;
    requireSameNode(name, node.labels, labels, node.power === 'terminating');
    return true;
  }
  return false;
}

/** Returns the token that makes AWS return the same instance for a repeated call. */
function clientToken(name: string, labels: NodeLabels, ended: ReadonlySet<string>): string {
  const parts = [labels.fleet, name, labels.spec, ...[...ended].toSorted()];
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}
