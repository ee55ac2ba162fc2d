import type { Node } from '../../node.ts';
import { NAME, type NodeLabels } from '../../node-labels.ts';
import {
  type CallOptions,
  type Capabilities,
  MAX_CONSOLE_BYTES,
  type MachineImage,
  type NodeRequest,
  type Provider,
  ProviderError,
} from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf } from '../../rest/json-object.ts';
import { requireGeneration } from '../fence.ts';
import { requireSameNode } from '../same-node.ts';
import { hasGraceEnded } from '../node-record.ts';
import type { OpenStackClient } from './client.ts';
import { OpenStackImages } from './images.ts';
import { prepareMachineImage } from './machine-image.ts';
import { fleetOf, isServerId, metadataOf, nodeOf, type ServerNode } from './server.ts';
import type { OpenStackGroupSettings } from './settings.ts';

/** Maximum length of user data at Nova, in base64. */
const MAX_USER_DATA_CHARS = 65_535;
const MAX_PAGES = 500;
const PAGE_SIZE = 1000;
const CONSOLE_LINES = 4000;

/**
 * Runs nodes as servers of Nova. Metadata has the name and labels of each.
 *
 * Nova has neither unique names nor tokens of clients. So a controller lists the servers of a name
 * before and after it creates one, and deletes all but the one that every controller chooses: that
 * of the newest generation, then the oldest. If it dies in between, the others are listed by names
 * of their own, and the group has too many nodes.
 */
export class OpenStackProvider implements Provider {
  readonly capabilities: Capabilities = {
    fencing: false,
    console: true,
    volumes: false,
    metadata: true,
  };
  readonly images: OpenStackImages;
  readonly #client: OpenStackClient;
  /** Calls for a name run one after the other. */
  readonly #creating = new Map<string, Promise<void>>();

  constructor(client: OpenStackClient) {
    this.#client = client;
    this.images = new OpenStackImages(client);
  }

  async prepare(image: MachineImage, { signal }: CallOptions): Promise<string> {
    signal.throwIfAborted();
    return prepareMachineImage(this.#client, image, signal);
  }

  async create(request: NodeRequest, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    const { name } = request;
    const json = serverInput(request);
    const before = this.#creating.get(name) ?? Promise.resolve();
    const own = before
      .catch(() => undefined)
      .then(async () => this.#createAlone(request, json, signal));
    this.#creating.set(name, own);
    try {
      await own;
    } finally {
      if (this.#creating.get(name) === own) this.#creating.delete(name);
    }
  }

  async destroy(id: string, options: CallOptions & { readonly graceMs: number }): Promise<void> {
    const { signal, graceMs } = options;
    const node = await this.#find(id, signal);
    if (node === undefined) return;
    requireGeneration(node.name, node.labels, options);
    const { killAt, status } = node;
    if (killAt === undefined && graceMs > 0 && status === 'ACTIVE') {
      // Any controller continues from here.
      await this.#setMetadata(id, metadataOf(node.name, node.labels, Date.now() + graceMs), signal);
      await this.#action(id, 'stop server', { 'os-stop': null }, signal);
      return;
    }
    const isWaiting = killAt !== undefined && !hasGraceEnded(killAt, graceMs);
    if (isWaiting && status === 'ACTIVE' && graceMs > 0) return;
    await this.#delete(id, signal);
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Node[]> {
    return uniqueNames(await this.#list(fleet, signal));
  }

  async label(id: string, labels: NodeLabels, options: CallOptions): Promise<void> {
    const { signal } = options;
    const node = await this.#find(id, signal);
    if (node === undefined) throw new ProviderError('missing', `there is no server ${id}`);
    requireGeneration(node.name, node.labels, options);
    await this.#setMetadata(id, metadataOf(node.name, labels, node.killAt), signal);
  }

  async console(id: string, { signal }: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    if ((await this.#find(id, signal)) === undefined) return new Uint8Array();
    const body = await this.#action(
      id,
      'read console',
      { 'os-getConsoleOutput': { length: CONSOLE_LINES } },
      signal,
    );
    return Buffer.from(textOf(body?.['output'])).subarray(-MAX_CONSOLE_BYTES);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #createAlone(
    { name, labels }: NodeRequest,
    json: JsonObject,
    signal: AbortSignal,
  ): Promise<void> {
    const named = async (): Promise<readonly ServerNode[]> =>
      (await this.#list(labels.fleet, signal, name)).filter((node) => node.name === name);
    if (hasNode(await named(), name, labels)) return;
    await this.#client.call('compute', 'create server', '/servers', {
      method: 'POST',
      json,
      signal,
    });
    const [chosen, ...others] = (await named())
      .filter(({ power }) => power !== 'terminating')
      .toSorted(byChoice);
    for (const { id } of others) await this.#delete(id, signal);
    if (chosen !== undefined) hasNode([chosen], name, labels);
  }

  /** Returns all servers of a fleet, or those of a name. */
  async #list(fleet: string, signal: AbortSignal, name?: string): Promise<readonly ServerNode[]> {
    signal.throwIfAborted();
    const nodes: ServerNode[] = [];
    let marker = '';
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = new URLSearchParams({
        limit: String(PAGE_SIZE),
        // A regular expression.
        ...(name === undefined ? {} : { name: `^${name}$` }),
        ...(marker === '' ? {} : { marker }),
      });
      const { body } = await this.#client.call(
        'compute',
        'list servers',
        `/servers/detail?${query.toString()}`,
        { signal },
      );
      if (!Array.isArray(body['servers']))
        throw new ProviderError('malformed', 'openstack: a list of servers without servers');
      const servers = objectsOf(body['servers']);
      const own = servers.filter((server) => fleetOf(server) === fleet).map(nodeOf);
      nodes.push(...own.filter((node) => node !== undefined));
      const hasMore = objectsOf(body['servers_links']).some(({ rel }) => rel === 'next');
      marker = textOf(servers.at(-1)?.['id']);
      if (!hasMore) return nodes;
      // Without the rest, the controller would create the missing nodes again.
      if (!isServerId(marker))
        throw new ProviderError(
          'malformed',
          'openstack: a page of servers ends without a valid id',
        );
    }
    throw new ProviderError('malformed', `openstack: more than ${MAX_PAGES} pages of servers`);
  }

  /** Returns a node by its id; undefined if it is gone or not one of lkt's. */
  async #find(id: string, signal: AbortSignal): Promise<ServerNode | undefined> {
    signal.throwIfAborted();
    if (!isServerId(id)) return undefined;
    const body = await this.#client.find('compute', 'show server', `/servers/${id}`, { signal });
    const server = objectOf(body?.['server']);
    return fleetOf(server) === '' ? undefined : nodeOf(server);
  }

  /** Replaces all metadata of a server. */
  async #setMetadata(
    id: string,
    metadata: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#client.call('compute', 'set metadata', `/servers/${id}/metadata`, {
      method: 'PUT',
      json: { metadata },
      signal,
    });
  }

  /** Runs an action; undefined if the server is gone, or busy with another action. */
  async #action(
    id: string,
    what: string,
    json: object,
    signal: AbortSignal,
  ): Promise<JsonObject | undefined> {
    const call = { method: 'POST', json, signal } as const;
    try {
      return await this.#client.find('compute', what, `/servers/${id}/action`, call);
    } catch (error) {
      if (error instanceof ProviderError && error.failure === 'conflict') return undefined;
      throw error;
    }
  }

  async #delete(id: string, signal: AbortSignal): Promise<void> {
    await this.#client.find('compute', 'delete server', `/servers/${id}`, {
      method: 'DELETE',
      signal,
    });
  }
}

function rank({ power }: ServerNode): number {
  return power === 'terminating' ? 1 : 0;
}

/** Returns nodes with names of their own: the chosen server of a name keeps it. */
function uniqueNames(nodes: readonly ServerNode[]): readonly Node[] {
  return [...Map.groupBy(nodes, ({ name }) => name).values()].flatMap((named) =>
    named
      .toSorted((a, b) => rank(a) - rank(b) || byChoice(a, b))
      .map((node, index) =>
        index === 0 ? node : { ...node, name: `${node.name}-${node.id.slice(0, 8)}` },
      ),
  );
}

/** Orders servers of one name: every controller keeps the first. */
function byChoice(a: ServerNode, b: ServerNode): number {
  const generations = b.labels.generation - a.labels.generation;
  if (generations !== 0) return generations;
  return [a.since, a.id].join(' ') < [b.since, b.id].join(' ') ? -1 : 1;
}

/** Reports whether a node exists as wanted. @throws ProviderError `conflict`, `invalid` */
function hasNode(nodes: readonly ServerNode[], name: string, labels: NodeLabels): boolean {
  const isWanted = ({ power, labels: own }: ServerNode): boolean =>
    power !== 'terminating' && own.spec === labels.spec;
  const found = nodes.find(isWanted) ?? nodes[0];
  if (found === undefined) return false;
  requireSameNode(name, found.labels, labels, found.power === 'terminating');
  return true;
}

function invalid(message: string, fix?: string): ProviderError {
  return new ProviderError('invalid', message, { fix });
}

/** Returns the parameters of a server. @throws ProviderError `invalid` */
function serverInput({
  name,
  image,
  labels,
  template,
  metadata,
  settings,
}: NodeRequest): JsonObject {
  if (!NAME.test(name)) throw invalid(`"${name}" is not a valid node name`);
  const group = settings as OpenStackGroupSettings | undefined;
  if (group === undefined)
    throw invalid(
      `the group ${labels.group} has no settings for openstack`,
      'add openstack: flavor:',
    );
  if (template.volumes.length > 0)
    throw invalid('openstack: nodes cannot have volumes yet', 'remove volumes from the group');
  const userData = metadata === undefined ? undefined : Buffer.from(metadata).toString('base64');
  if (userData !== undefined && userData.length > MAX_USER_DATA_CHARS)
    throw invalid(
      `metadata of ${metadata?.length} bytes exceeds what Nova accepts`,
      'put large files into the image',
    );
  const { flavor, network, securityGroups, availabilityZone } = group;
  return {
    server: {
      name,
      imageRef: image,
      flavorRef: flavor,
      networks: [{ uuid: network }],
      security_groups: securityGroups.map((one) => ({ name: one })),
      metadata: metadataOf(name, labels),
      // A disk of the host: no other station of the network can imitate it.
      ...(userData === undefined ? {} : { user_data: userData, config_drive: true }),
      ...(availabilityZone === undefined ? {} : { availability_zone: availabilityZone }),
    },
  };
}
