import { createHash, createVerify, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { gcpRightOf, gcpRights } from './documented-rights.ts';
import {
  type JsonRequest,
  type JsonResponse,
  type JsonServer,
  Problem,
  startJsonServer,
} from './json-server.ts';

interface Member {
  readonly name: string;
  template: string;
  version: string;
  status: string;
  action: string;
  health: string;
  created: string;
  error?: string;
}

interface Group {
  manager: Record<string, unknown>;
  fingerprint: number;
  size: number;
  members: Member[];
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Stands in for Compute Engine, Cloud Storage and Google's tokens: rejects every request that is
 * not as Google documents it, or for which docs/fleet/gcp.md gives no right, and keeps groups,
 * templates and images. Time passes when a test says so.
 */
export interface GcpServer extends JsonServer {
  readonly groups: ReadonlyMap<string, Group>;
  readonly templates: ReadonlyMap<string, Json>;
  readonly images: ReadonlyMap<string, Json>;
  readonly objects: ReadonlyMap<string, Buffer>;
  /** The key file of the service account. */
  readonly key: string;
  /** Starts missing instances and rolls, and lets all become healthy. */
  readonly settle: (now?: Date) => void;
  /** Names of the calls that changed something, since the last call. */
  readonly changes: () => readonly string[];
  /** Settles before each list of instances. */
  isFast: boolean;
  /** Refuses templates, and says why in the words of Google: with what it refuses. */
  isEchoing: boolean;
  /** Refuses changes, as without a right. */
  isReadOnly: boolean;
  /** When further images are made. */
  createdAt: string;
  /** Ends all tokens. */
  readonly expireTokens: () => void;
}

const PROJECT = '/compute/v1/projects/shop-1234';
const NAME = /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const GROUP_FIELDS = new Set([
  'name',
  'description',
  'baseInstanceName',
  'targetSize',
  'versions',
  'updatePolicy',
  'autoHealingPolicies',
  'distributionPolicy',
  'fingerprint',
]);
const POLICY_FIELDS = new Set([
  'type',
  'minimalAction',
  'mostDisruptiveAllowedAction',
  'replacementMethod',
  'maxSurge',
  'maxUnavailable',
  'instanceRedistributionType',
]);

export async function startGcpServer(place = 'zones/europe-west3-a'): Promise<GcpServer> {
  const rights = gcpRights();
  const groups = new Map<string, Group>();
  const templates = new Map<string, Json>();
  const images = new Map<string, Json>();
  const objects = new Map<string, Buffer>();
  const operations = new Map<string, Json>();
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let token = '';
  let count = 0;
  let changed: string[] = [];

  const operation = (what: string, error?: { readonly code: string }): JsonResponse => {
    changed.push(what);
    count += 1;
    const name = `operation-${count}`;
    const scope = /Template|image/.test(what)
      ? {}
      : { [place.split('/')[0]?.slice(0, -1) ?? '']: place };
    const done = error === undefined ? {} : { error: { errors: [error] } };
    operations.set(name, { name, status: 'DONE', ...scope, ...done });
    return { json: { name, status: 'RUNNING', ...scope } };
  };
  const groupOf = (name: string): Group => {
    const group = groups.get(name);
    if (group === undefined) throw fault(404, 'notFound', `no group ${name}`, true);
    return group;
  };
  const templateIn = (versions: unknown): { template: string; version: string } => {
    const [first] = (versions ?? []) as readonly { instanceTemplate?: string; name?: string }[];
    const template = first?.instanceTemplate?.split('/').at(-1) ?? '';
    if (!templates.has(template)) throw fault(400, 'invalid', `no template ${template}`);
    return { template, version: first?.name ?? '' };
  };

  const compute = (request: JsonRequest, path: string, isBeta: boolean): JsonResponse => {
    const { method, query, json } = request;
    const route = `${method} ${path}`;
    const [, kind = '', name = '', verb = ''] =
      /^\/(?:global|zones\/[\w-]+|regions\/[\w-]+)\/(\w+)(?:\/([\w-]+))?(?:\/(\w+))?$/.exec(path) ??
      [];
    if (path === '/aggregated/instances' && method === 'GET') {
      const [, fleet] = /^labels\.lkt-fleet=([a-z0-9-]+)$/.exec(query.get('filter') ?? '') ?? [];
      if (fleet === undefined) throw fault(400, 'invalid', 'filter');
      const all = [...groups.values()].flatMap(({ members }) => members);
      const own = all.filter(
        ({ template }) => labelsOf(templates.get(template))['lkt-fleet'] === fleet,
      );
      const instances = own.map((one, index) => ({
        name: one.name,
        creationTimestamp: one.created,
        networkInterfaces: [{ networkIP: `10.0.0.${index + 1}` }],
      }));
      return {
        json: { items: { 'zones/europe-west3-a': { instances }, 'zones/other': { warning: {} } } },
      };
    }
    if (kind === 'operations' && verb === 'wait' && method === 'POST') {
      const found = operations.get(name);
      if (found === undefined) throw fault(404, 'notFound', name);
      return { json: found };
    }
    if (path === '/aggregated/instanceGroupManagers' && method === 'GET') {
      const instanceGroupManagers = [...groups.values()].map(managerOf);
      return { json: { items: { [place]: { instanceGroupManagers }, 'zones/other': {} } } };
    }
    if (path === '/global/images' && method === 'GET') {
      const page = Number(query.get('pageToken') ?? 0);
      // One image a page.
      const items = [...images.values()].slice(page, page + 1);
      const more = page + 1 < images.size ? { nextPageToken: String(page + 1) } : {};
      return { json: { items, ...more } };
    }
    if (path.startsWith('/global/images') && method === 'DELETE') {
      if (!images.delete(name)) missing(name);
      return operation('images.delete');
    }
    if (path.startsWith('/global/images')) {
      if (method === 'GET') return { json: images.get(name) ?? missing(name) };
      requireFields(
        json,
        new Set(['name', 'description', 'rawDisk', 'guestOsFeatures', 'architecture']),
      );
      const image = String(json['name']);
      const source = String((json['rawDisk'] as Json)['source']);
      const object = source.replace('https://storage.googleapis.com/images/', '');
      if (!NAME.test(image) || !objects.has(object)) throw fault(400, 'invalid', image);
      if (images.has(image)) throw fault(409, 'alreadyExists', image, true);
      images.set(image, { ...json, status: 'READY', creationTimestamp: state.createdAt });
      return operation('images.insert');
    }
    if (path.startsWith('/global/instanceTemplates')) {
      if (method === 'GET' && path === '/global/instanceTemplates')
        return { json: { items: templates.values().toArray() } };
      if (method === 'GET') return { json: templates.get(name) ?? missing(name) };
      if (method === 'DELETE') {
        if (!templates.delete(name)) throw fault(404, 'notFound', name, true);
        return operation('instanceTemplates.delete');
      }
      const template = String(json['name']);
      if (!NAME.test(template)) throw fault(400, 'invalid', template);
      if (state.isEchoing)
        throw fault(400, 'invalid', `Invalid value: '${userDataOf(json)}' of ${template}`, true);
      if (templates.has(template)) throw fault(409, 'alreadyExists', template, true);
      templates.set(template, { ...json, creationTimestamp: state.createdAt });
      return operation('instanceTemplates.insert');
    }
    if (kind !== 'instanceGroupManagers' || !path.startsWith(`/${place}/`))
      throw fault(404, 'notFound', route);
    if (route === `GET /${place}/instanceGroupManagers`) {
      const page = Number(query.get('pageToken') ?? 0);
      // One group a page.
      const items = [...groups.values()].slice(page, page + 1).map(managerOf);
      const more = page + 1 < groups.size ? { nextPageToken: String(page + 1) } : {};
      return { json: { items, ...more } };
    }
    if (route === `POST /${place}/instanceGroupManagers`) {
      requireValid(json, place, isBeta);
      const created = String(json['name']);
      if (groups.has(created)) throw fault(409, 'alreadyExists', created, true);
      templateIn(json['versions']);
      groups.set(created, {
        manager: { ...json },
        fingerprint: 1,
        size: Number(json['targetSize']),
        members: [],
      });
      return operation('instanceGroupManagers.insert');
    }
    const group = groupOf(name);
    if (method === 'GET') return { json: managerOf(group) };
    if (state.isReadOnly && verb !== 'listManagedInstances')
      throw fault(403, 'forbidden', 'Required permission', true);
    if (method === 'PATCH') {
      requireValid(json, place, isBeta);
      if (json['fingerprint'] !== String(group.fingerprint))
        throw fault(412, 'conditionNotMet', 'fingerprint', true);
      if ('versions' in json) templateIn(json['versions']);
      const policy = {
        ...(group.manager['updatePolicy'] as Json),
        ...(json['updatePolicy'] as Json),
      };
      group.manager = { ...group.manager, ...json, updatePolicy: policy };
      group.fingerprint += 1;
      return operation('instanceGroupManagers.patch');
    }
    if (verb === 'resize') {
      group.size = Number(query.get('size'));
      return operation('instanceGroupManagers.resize');
    }
    if (verb === 'recreateInstances') {
      const [url] = json['instances'] as readonly string[];
      const member = group.members.find((one) => url?.endsWith(`/instances/${one.name}`) === true);
      if (member === undefined) throw fault(400, 'invalid', String(url));
      member.action = 'RECREATING';
      return operation('instanceGroupManagers.recreateInstances');
    }
    if (verb !== 'listManagedInstances' || method !== 'POST') throw fault(404, 'notFound', route);
    if (state.isFast) state.settle();
    const managedInstances = group.members.map((one) => ({
      instance: `https://www.googleapis.com${PROJECT}/zones/europe-west3-a/instances/${one.name}`,
      instanceStatus: one.status,
      currentAction: one.action,
      version: {
        name: one.version,
        instanceTemplate: `x/global/instanceTemplates/${one.template}`,
      },
      instanceHealth: [{ detailedHealthState: one.health }],
      ...(one.error === undefined
        ? {}
        : {
            lastAttempt: { errors: { errors: [{ code: one.error, message: 'words of Google' }] } },
          }),
    }));
    return { json: { managedInstances } };
  };

  const respond = (request: JsonRequest): JsonResponse => {
    const { method, path, query, headers, bytes } = request;
    if (path === '/token') {
      requireAssertion(bytes.toString(), publicKey);
      token = `token-${(count += 1)}`;
      return { json: { access_token: token, expires_in: 3600, token_type: 'Bearer' } };
    }
    if (headers.authorization !== `Bearer ${token}`)
      throw fault(401, 'authError', 'no valid token', true);
    // The beta has all of the interface, and more fields.
    const stable = path.replace(/^\/compute\/beta\//, '/compute/v1/');
    const right = gcpRightOf(method, stable);
    if (!rights.has(right)) throw fault(403, 'forbidden', `Required '${right}' permission`);
    if (stable.startsWith(PROJECT)) {
      const answer = compute(request, stable.slice(PROJECT.length), stable !== path);
      const { items, ...rest } = answer.json as Json;
      const kind = `compute#${stable.split('/').at(-1)?.replace(/s$/, '')}List`;
      return items === undefined ? answer : { ...answer, json: { kind, items, ...rest } };
    }
    const [, object = ''] = /^\/storage\/v1\/b\/images\/o\/([\w.-]+)$/.exec(path) ?? [];
    if (method === 'GET' && object !== '')
      return objects.has(object) ? { json: { name: object } } : missing(object);
    if (method === 'DELETE' && object !== '') {
      if (!objects.delete(object)) missing(object);
      changed.push('objects.delete');
      return { status: 204 };
    }
    if (method !== 'POST' || path !== '/upload/storage/v1/b/images/o')
      throw fault(404, 'notFound', `${method} ${path}`);
    const name = query.get('name') ?? '';
    if (query.get('uploadType') !== 'media' || query.get('ifGenerationMatch') !== '0')
      throw fault(400, 'invalid', 'upload');
    if (objects.has(name)) throw fault(412, 'conditionNotMet', name, true);
    objects.set(name, bytes);
    changed.push('objects.insert');
    return { json: { name, md5Hash: createHash('md5').update(bytes).digest('base64') } };
  };

  const managerOf = (group: Group): Json => {
    const { template, version } = templateIn(group.manager['versions']);
    const isReached = group.members.every(
      (one) => one.template === template && one.version === version,
    );
    return {
      ...group.manager,
      targetSize: group.size,
      fingerprint: String(group.fingerprint),
      status: { versionTarget: { isReached }, isStable: isReached },
    };
  };

  const server = await startJsonServer(respond);
  const state: GcpServer = {
    ...server,
    isFast: false,
    isEchoing: false,
    isReadOnly: false,
    createdAt: '2026-01-01T00:00:00.000-07:00',
    groups,
    templates,
    images,
    objects,
    key: JSON.stringify({
      type: 'service_account',
      client_email: 'lkt@shop-1234.iam.gserviceaccount.com',
      private_key_id: 'k',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }),
    settle: (now = new Date()) => {
      for (const { manager, members, size } of groups.values()) {
        const { template, version } = templateIn(manager['versions']);
        const policy = manager['updatePolicy'] as Json;
        const kept = members.filter(
          (one) =>
            policy['type'] !== 'PROACTIVE' ||
            (one.template === template && one.version === version),
        );
        members.splice(0, members.length, ...kept.slice(0, size));
        while (members.length < size)
          members.push({
            name: `${String(manager['baseInstanceName'])}-${(count += 1).toString(36).padStart(4, 'x')}`,
            template,
            version,
            status: 'RUNNING',
            action: 'NONE',
            health: 'HEALTHY',
            created: now.toISOString(),
          });
      }
    },
    changes: () => {
      const before = changed;
      changed = [];
      return before;
    },
    expireTokens: () => {
      token = '';
    },
  };
  return state;
}

function labelsOf(template: Json | undefined): Json {
  const properties = (template?.['properties'] ?? {}) as Json;
  return (properties['labels'] ?? {}) as Json;
}

function userDataOf({ properties }: Json): string {
  const { metadata } = properties as { metadata: { items: { key: string; value: string }[] } };
  return metadata.items.find(({ key }) => key === 'user-data')?.value ?? '';
}

function missing(name: string): never {
  throw fault(404, 'notFound', name, true);
}

function fault(code: number, reason: string, message: string, isExpected = false): Problem {
  const json = { error: { code, message, errors: [{ reason, message, domain: 'global' }] } };
  return new Problem({ status: code, json }, isExpected);
}

function requireFields(json: Json, known: ReadonlySet<string>): void {
  for (const key of Object.keys(json))
    if (!known.has(key)) throw fault(400, 'invalid', `unknown field ${key}`);
}

/** @throws Problem for what Google rejects */
function requireValid(json: Json, place: string, isBeta: boolean): void {
  requireFields(json, GROUP_FIELDS);
  const { minReadySec, ...policy } = (json['updatePolicy'] ?? {}) as Json;
  requireFields(policy, POLICY_FIELDS);
  // A field of the beta alone.
  const isKnown = isBeta && Number(minReadySec) >= 0 && Number(minReadySec) <= 3600;
  if (minReadySec !== undefined && !isKnown) throw fault(400, 'invalid', 'minReadySec');
  if (((json['description'] as string | undefined) ?? '').length > 2048)
    throw fault(400, 'invalid', 'description');
  if (
    'baseInstanceName' in json &&
    !/^[a-z](?:[-a-z0-9]{0,56}[a-z0-9])?$/.test(String(json['baseInstanceName']))
  )
    throw fault(400, 'invalid', 'baseInstanceName');
  const fixed = (key: string): number | undefined => (policy[key] as { fixed?: number })?.fixed;
  const [surge, unavailable] = [fixed('maxSurge'), fixed('maxUnavailable')];
  if (surge === 0 && unavailable === 0) throw fault(400, 'invalid', 'maxSurge and maxUnavailable');
  if (policy['replacementMethod'] === 'RECREATE' && surge !== 0)
    throw fault(400, 'invalid', 'RECREATE has no surge');
  if (place.startsWith('regions/')) {
    for (const nodes of [surge, unavailable])
      if (nodes !== undefined && nodes !== 0 && nodes < 3)
        throw fault(400, 'invalid', 'less than the number of zones');
  } else if ('instanceRedistributionType' in policy || 'distributionPolicy' in json)
    throw fault(400, 'invalid', 'only in regions');
  const versions = (json['versions'] ?? []) as readonly Json[];
  for (const version of versions) requireFields(version, new Set(['instanceTemplate', 'name']));
}

/** @throws Problem for a claim that is not signed by the key, or is not for Google */
function requireAssertion(body: string, key: KeyObject): void {
  const [head = '', claims = '', signature = ''] = (
    new URLSearchParams(body).get('assertion') ?? ''
  ).split('.');
  const verify = createVerify('sha256').update(`${head}.${claims}`);
  const isSigned = verify.verify(key, Buffer.from(signature, 'base64url'));
  const { aud, exp, iat } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Json;
  if (
    !isSigned ||
    aud !== 'https://oauth2.googleapis.com/token' ||
    Number(exp) - Number(iat) > 3600
  )
    throw fault(400, 'invalid_grant', 'assertion');
}
