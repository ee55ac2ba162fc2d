import { createHash, randomUUID } from 'node:crypto';
import { openStackRules } from './documented-rights.ts';
import {
  type JsonRequest,
  type JsonResponse,
  type JsonServer,
  Problem,
  startJsonServer,
} from './json-server.ts';

type Json = Readonly<Record<string, unknown>>;

/** A server of Nova. */
interface Server {
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly image: string;
  readonly userData: string | undefined;
  readonly hasConfigDrive: boolean;
  metadata: Readonly<Record<string, string>>;
  status: string;
  task: string | null;
  /** Requests until the state changes: each that shows it is one. */
  left: number;
}

/**
 * Stands in for Keystone, Nova and Glance: rejects every request that is not as OpenStack documents
 * it. Servers pass through the states of Nova, one step at each time they are shown, so that no
 * test depends on time.
 */
export interface OpenStackServer extends JsonServer {
  readonly servers: Map<string, Server>;
  readonly images: Map<string, Record<string, unknown>>;
  /** Makes the next requests of a kind fail. */
  readonly fail: (matches: RegExp, response: JsonResponse, count?: number) => void;
  /** Servers that an answer has at most. */
  pageSize: number;
  /** The guest does not shut down. */
  isStubborn: boolean;
  /** Is called with each server that was created. */
  compete: (server: Server) => void;
  /** Ends all tokens. */
  readonly expireTokens: () => void;
  /** URL of Nova in the catalog. */
  computeUrl: string;
}

const PROJECT = '0123456789abcdef0123456789abcdef';
const SERVER_FIELDS = new Set([
  'name',
  'imageRef',
  'flavorRef',
  'networks',
  'security_groups',
  'metadata',
  'user_data',
  'config_drive',
  'availability_zone',
]);
const BUILD_STEPS = 2;
const DELETE_STEPS = 2;
const STOP_STEPS = 1;

export async function startOpenStackServer(): Promise<OpenStackServer> {
  const servers = new Map<string, Server>();
  const images = new Map<string, Record<string, unknown>>();
  const failures: { matches: RegExp; response: JsonResponse; left: number }[] = [];
  let token = '';
  let count = 0;

  /** Shows a server, which then makes a step. */
  const show = (server: Server): Json => {
    const shown = {
      id: server.id,
      name: server.name,
      status: server.status,
      created: server.created,
      metadata: server.metadata,
      'OS-EXT-STS:task_state': server.task,
      addresses:
        server.status === 'BUILD'
          ? {}
          : {
              nodes: [
                { addr: '10.0.0.5', version: 4, 'OS-EXT-IPS:type': 'fixed' },
                { addr: '192.0.2.5', version: 4, 'OS-EXT-IPS:type': 'floating' },
              ],
            },
    };
    server.left -= 1;
    if (server.left > 0) return shown;
    if (server.task === 'deleting') servers.delete(server.id);
    else if (server.status === 'BUILD') [server.status, server.task] = ['ACTIVE', null];
    else if (server.task === 'powering-off' && !state.isStubborn)
      [server.status, server.task] = ['SHUTOFF', null];
    return shown;
  };

  const compute = (request: JsonRequest, path: string): JsonResponse => {
    const { method, query, json } = request;
    if (path === '/servers' && method === 'GET') {
      const all = [...servers.values()].filter(({ image }) => image === query.get('image'));
      return { json: { servers: all.map(({ id, name }) => ({ id, name })) } };
    }
    if (path === '/servers/detail') {
      const name = new RegExp(query.get('name') ?? '');
      const all = [...servers.values()].filter((one) => name.test(one.name));
      const marker = query.get('marker');
      const from = marker === null ? 0 : all.findIndex(({ id }) => id === marker) + 1;
      if (marker !== null && from === 0) throw fault(400, 'badRequest', 'marker');
      const page = all.slice(from, from + state.pageSize);
      const hasMore = from + state.pageSize < all.length;
      const links = hasMore ? { servers_links: [{ rel: 'next', href: 'x' }] } : {};
      return { json: { servers: page.map(show), ...links } };
    }
    if (path === '/servers' && method === 'POST') {
      const given = json['server'] as Json;
      for (const key of Object.keys(given))
        if (!SERVER_FIELDS.has(key)) throw fault(400, 'badRequest', `unknown ${key}`);
      const metadata = given['metadata'] as Record<string, string>;
      for (const [key, value] of Object.entries(metadata))
        if (key.length > 255 || typeof value !== 'string' || value.length > 255)
          throw fault(400, 'badRequest', `metadata ${key}`);
      if (given['flavorRef'] !== 'small')
        throw fault(400, 'badRequest', 'Invalid flavorRef provided.', true);
      const image = images.get(given['imageRef'] as string);
      if (image?.['status'] !== 'active') throw fault(400, 'badRequest', 'image');
      count += 1;
      const id = randomUUID();
      const name = given['name'] as string;
      // Clocks of Nova have seconds.
      const created = new Date(1_700_000_000_000 + Math.floor(count / 2) * 1000).toISOString();
      const userData = given['user_data'] as string | undefined;
      const fresh = { status: 'BUILD', task: 'scheduling', left: BUILD_STEPS };
      const hasConfigDrive = given['config_drive'] === true;
      const { imageRef } = given as { imageRef: string };
      const server = {
        id,
        name,
        created,
        image: imageRef,
        userData,
        hasConfigDrive,
        metadata,
        ...fresh,
      };
      servers.set(id, server);
      state.compete(server);
      return { status: 202, json: { server: { id } } };
    }
    const [, id = '', rest = ''] = /^\/servers\/([\w-]+)(?:\/(\w+))?$/.exec(path) ?? [];
    const server = servers.get(id);
    if (server === undefined) throw fault(404, 'itemNotFound', `no server ${id}`, true);
    if (method === 'DELETE' && rest === '') {
      [server.task, server.left] = ['deleting', DELETE_STEPS];
      return { status: 204 };
    }
    if (method === 'PUT' && rest === 'metadata') {
      server.metadata = json['metadata'] as Record<string, string>;
      return { json: { metadata: server.metadata } };
    }
    if (method === 'POST' && rest === 'action') {
      if ('os-getConsoleOutput' in json) return { json: { output: 'lkt: boot complete\n' } };
      if (!('os-stop' in json)) throw fault(400, 'badRequest', 'action');
      if (server.status !== 'ACTIVE')
        throw fault(409, 'conflictingRequest', 'not while building', true);
      [server.task, server.left] = ['powering-off', STOP_STEPS];
      return { status: 202 };
    }
    if (method !== 'GET' || rest !== '') throw fault(404, 'itemNotFound', path);
    return { json: { server: show(server) } };
  };

  const glance = (request: JsonRequest, path: string): JsonResponse => {
    const { method, query, json, bytes } = request;
    if (path === '/images' && method === 'POST') {
      const id = randomUUID();
      const created = new Date(Date.UTC(2026, 0, 1, 0, images.size)).toISOString();
      images.set(id, { ...json, id, owner: PROJECT, status: 'queued', created_at: created });
      return { status: 201, json: { id, status: 'queued' } };
    }
    if (path === '/images') {
      const found = [...images.values()].filter((image) =>
        ['owner', 'visibility', 'status', 'lkt_digest'].every(
          (key) => query.get(key) === null || image[key] === query.get(key),
        ),
      );
      return { json: { images: found } };
    }
    const [, id = '', rest = ''] = /^\/images\/([\w-]+)(\/file)?$/.exec(path) ?? [];
    const image = images.get(id);
    if (image === undefined) throw fault(404, 'itemNotFound', id, method === 'DELETE');
    if (method === 'GET' && rest === '') return { json: image };
    if (method === 'DELETE' && rest === '') {
      images.delete(id);
      return { status: 204 };
    }
    if (request.headers['content-type'] !== 'application/octet-stream' || rest === '')
      throw fault(415, 'badRequest', 'type');
    image['status'] = 'active';
    image['os_hash_algo'] = 'sha512';
    image['os_hash_value'] = createHash('sha512').update(bytes).digest('hex');
    return { status: 204 };
  };

  const respond = (request: JsonRequest): JsonResponse => {
    const { method, path, headers, json } = request;
    const failure = failures.find(
      ({ matches, left }) => left > 0 && matches.test(`${method} ${path}`),
    );
    if (failure !== undefined) {
      failure.left -= 1;
      throw new Problem(failure.response, true);
    }
    if (path === '/v3/auth/tokens' && method === 'POST') {
      const { identity } = json['auth'] as Record<string, Record<string, Json>>;
      const { id, secret } = identity?.['application_credential'] ?? {};
      if (id !== 'credential-1' || secret !== 'secret-1') {
        const error = { code: 401, message: 'The request requires authentication.' };
        throw new Problem({ status: 401, json: { error } }, true);
      }
      token = `token-${(count += 1)}`;
      const catalog = [
        { type: 'compute', endpoints: [endpoint(state.computeUrl)] },
        { type: 'image', endpoints: [endpoint(`${server.endpoint}/image/`)] },
      ];
      const times = { issued_at: '2026-01-01T00:00:00.0Z', expires_at: '2026-01-01T01:00:00.0Z' };
      return {
        status: 201,
        headers: { 'x-subject-token': token },
        json: { token: { ...times, project: { id: PROJECT }, catalog } },
      };
    }
    if (headers['x-auth-token'] !== token) throw fault(401, 'unauthorized', 'no token', true);
    requireRule(method, path);
    if (path.startsWith('/compute/v2.1/')) return compute(request, path.slice(13));
    if (path.startsWith('/image/v2/')) return glance(request, path.slice(9));
    throw fault(404, 'itemNotFound', path);
  };

  const server = await startJsonServer(respond);
  const state: OpenStackServer = {
    ...server,
    servers,
    images,
    fail: (matches, response, left = 1) => failures.push({ matches, response, left }),
    pageSize: 2,
    isStubborn: false,
    compete: () => undefined,
    expireTokens: () => {
      token = 'none';
    },
    computeUrl: `${server.endpoint}/compute/v2.1`,
  };
  return state;
}

const RULES = openStackRules().map(({ service, method, path }) => {
  const pattern = path.replaceAll('.', String.raw`\.`).replaceAll('*', '[^/]+');
  return { method, matches: new RegExp(`^/${service}${pattern}$`) };
});

/** @throws Problem for a call that the documented access rules forbid */
function requireRule(method: string, path: string): void {
  if (RULES.some((rule) => rule.method === method && rule.matches.test(path))) return;
  throw fault(403, 'forbidden', `no access rule for ${method} ${path}`);
}

function endpoint(url: string): Json {
  return { interface: 'public', region: 'one', url };
}

function fault(code: number, key: string, message: string, isExpected = false): Problem {
  return new Problem({ status: code, json: { [key]: { code, message } } }, isExpected);
}
