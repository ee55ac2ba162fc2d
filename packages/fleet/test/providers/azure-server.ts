import { createHash } from 'node:crypto';
import { azureRightOf, azureRights } from './documented-rights.ts';
import { type AzureJson as Json, fault, requireValid } from './azure-rules.ts';
import {
  type JsonRequest,
  type JsonResponse,
  type JsonServer,
  Problem,
  startJsonServer,
} from './json-server.ts';

/** Settings of a provider whose images this server keeps. */
export const AZURE_SETTINGS = {
  subscription: '01234567-89ab-cdef-0123-456789abcdef',
  resourceGroup: 'shop',
  region: 'germanywestcentral',
  gallery: 'images',
  imageDefinition: 'web',
};

interface Member {
  readonly id: string;
  model: number;
  image: string;
  health: string;
  created: string;
}

interface ScaleSet {
  body: Record<string, unknown>;
  etag: number;
  /** Number of the model, which a change of the machine raises. */
  model: number;
  members: Member[];
  upgrade: { code: string; start: string; message?: string } | undefined;
}

/**
 * Stands in for Azure Resource Manager, its tokens and the storage of managed disks: rejects every
 * request that is not as Azure documents it, and keeps scale sets, disks and images. Time passes
 * when a test says so.
 */
export interface AzureServer extends JsonServer {
  readonly sets: ReadonlyMap<string, ScaleSet>;
  readonly disks: ReadonlyMap<string, Json>;
  readonly versions: ReadonlyMap<string, Json>;
  /** The storage of disks; it rejects uploads while it is closed. */
  readonly storage: { isClosed: boolean };
  /** The bytes of the last disk that was written. */
  readonly written: () => Buffer;
  /** Starts missing instances, and lets all become healthy. */
  readonly settle: (now?: Date) => void;
  /** Begins the upgrade of a scale set whose model has changed. */
  readonly begin: () => void;
  /** Ends an upgrade. */
  readonly finish: (code: string, message?: string) => void;
  /** Changes since the last call. */
  readonly changes: () => readonly string[];
}

const GROUP =
  '/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/shop/providers/Microsoft.Compute';
const VERSIONS: readonly (readonly [RegExp, string])[] = [
  [/networkInterfaces/, '2018-10-01'],
  [/^\/disks/, '2024-03-02'],
  [/^\/galleries/, '2024-03-03'],
  [/^\/virtualMachineScaleSets/, '2024-11-01'],
];
const PAGE = 2 ** 22;

export async function startAzureServer(): Promise<AzureServer> {
  const rights = azureRights();
  const sets = new Map<string, ScaleSet>();
  const disks = new Map<string, Record<string, unknown>>();
  const versions = new Map<string, Json>();
  const operations = new Map<string, { polls: number; json: Json }>();
  const storage = { isClosed: false };
  let written = Buffer.alloc(0);
  let changed: string[] = [];
  let count = 0;
  let upgrades = 0;
  let endpoint = '';

  const operation = (what: string, result: Json = {}): JsonResponse => {
    changed.push(what);
    count += 1;
    operations.set(String(count), { polls: 0, json: { status: 'Succeeded', ...result } });
    const url = `${endpoint}/operations/${count}`;
    return { status: 202, headers: { 'azure-asyncoperation': url, 'retry-after': '0' } };
  };

  const disk = ({ method, json }: JsonRequest, name: string, verb: string): JsonResponse => {
    const found = disks.get(name);
    if (method === 'PUT') {
      // As it is already.
      if (found !== undefined) return operation('disks.write');
      const { tags } = json;
      const { hyperVGeneration, creationData } = json['properties'] as Record<string, Json>;
      const size = Number(creationData?.['uploadSizeBytes']);
      if (size % 2 ** 20 !== 512) throw fault(400, 'InvalidParameter', `a VHD of ${size} bytes`);
      disks.set(name, {
        name,
        tags,
        properties: {
          hyperVGeneration,
          diskState: 'ReadyToUpload',
          size,
          timeCreated: '2026-01-02T03:04:05.0000000+00:00',
        },
      });
      written = Buffer.alloc(size);
      return operation('disks.write');
    }
    if (found === undefined) throw fault(404, 'ResourceNotFound', name, true);
    const properties = found['properties'] as Record<string, unknown>;
    if (method === 'GET') return { json: found };
    if (method === 'DELETE') {
      if (properties['diskState'] === 'ActiveUpload') throw fault(409, 'OperationNotAllowed', name);
      disks.delete(name);
      return operation('disks.delete');
    }
    if (verb === 'beginGetAccess') {
      if (json['access'] !== 'Write') throw fault(400, 'InvalidParameter', 'access');
      properties['diskState'] = 'ActiveUpload';
      const accessSAS = `${endpoint}/storage/${name}?sig=secret`;
      return operation('disks.beginGetAccess', { properties: { output: { accessSAS } } });
    }
    if (verb !== 'endGetAccess') throw fault(404, 'NotFound', verb);
    properties['diskState'] = 'Unattached';
    return operation('disks.endGetAccess');
  };

  const image = ({ method, json }: JsonRequest, version: string): JsonResponse => {
    if (version === '')
      return {
        json: { properties: { osType: 'Linux', osState: 'Specialized', hyperVGeneration: 'V2' } },
      };
    if (method === 'GET') {
      const found = versions.get(version);
      if (found === undefined) throw fault(404, 'ResourceNotFound', version, true);
      return { json: found };
    }
    if (method === 'DELETE') {
      if (!versions.delete(version)) throw fault(404, 'ResourceNotFound', version, true);
      return operation('galleries.images.versions.delete');
    }
    if (!/^\d{1,10}(?:\.\d{1,10}){2}$/.test(version))
      throw fault(400, 'InvalidParameter', 'version');
    if (version.split('.').some((part) => Number(part) > 2_147_483_647))
      throw fault(400, 'InvalidParameter', 'version');
    const { storageProfile, publishingProfile } = json['properties'] as Record<
      string,
      Record<string, { readonly source: { readonly id: string } }>
    >;
    const source = storageProfile?.['osDiskImage']?.source.id ?? '';
    const from = disks.get(source.split('/').at(-1) ?? '');
    if ((from?.['properties'] as Json | undefined)?.['diskState'] !== 'Unattached')
      throw fault(400, 'InvalidParameter', 'the disk is not complete', true);
    if (publishingProfile?.['targetRegions'] === undefined)
      throw fault(400, 'InvalidParameter', 'targetRegions');
    const published = { publishedDate: '2026-01-01T00:00:00.0000000+00:00' };
    versions.set(version, {
      ...json,
      properties: { provisioningState: 'Succeeded', publishingProfile: published },
    });
    return operation('galleries.images.versions.write');
  };

  const scaleSet = (request: JsonRequest, name: string, rest: string): JsonResponse => {
    const { method, json, headers, query } = request;
    const found = sets.get(name);
    if (method === 'PUT' && rest === '') {
      requireValid(json, true);
      if (found !== undefined && headers['if-none-match'] === '*')
        throw fault(412, 'PreconditionFailed', name, true);
      sets.set(name, {
        body: { ...json, name },
        etag: 1,
        model: 1,
        members: [],
        upgrade: undefined,
      });
      return operation('virtualMachineScaleSets.create');
    }
    if (found === undefined) throw fault(404, 'ResourceNotFound', name, true);
    if (method === 'GET' && rest === '') return { json: bodyOf(found) };
    if (method === 'PATCH' && rest === '') {
      requireValid(json, false);
      if (headers['if-match'] !== String(found.etag))
        throw fault(412, 'PreconditionFailed', 'etag', true);
      const before = found.body['properties'] as Record<string, Json>;
      const { virtualMachineProfile: machine, ...properties } = json['properties'] as Record<
        string,
        Json
      >;
      const policy = { ...before['upgradePolicy'], ...properties['upgradePolicy'] };
      found.body = {
        ...found.body,
        ...json,
        sku: { ...(found.body['sku'] as Json), ...(json['sku'] as Json | undefined) },
        properties: {
          ...before,
          ...properties,
          upgradePolicy: policy,
          virtualMachineProfile: { ...before['virtualMachineProfile'], ...machine },
        },
      };
      if (machine !== undefined) found.model += 1;
      found.etag += 1;
      return operation('virtualMachineScaleSets.update');
    }
    if (rest === 'rollingUpgrades/latest') {
      if (found.upgrade === undefined) throw fault(404, 'NotFound', 'no upgrade', true);
      const { code, start, message } = found.upgrade;
      const error = message === undefined ? {} : { error: { code: 'Failed', message } };
      return { json: { properties: { runningStatus: { code, startTime: start }, ...error } } };
    }
    if (rest === 'rollingUpgrades/cancel' && method === 'POST') {
      if (found.upgrade?.code !== 'RollingForward')
        throw fault(409, 'OperationNotAllowed', 'no upgrade runs', true);
      found.upgrade.code = 'Cancelled';
      return operation('virtualMachineScaleSets.cancel');
    }
    if (rest === 'reimage' && method === 'POST') {
      const [id] = json['instanceIds'] as readonly string[];
      if (!found.members.some((one) => one.id === id)) throw fault(400, 'InvalidParameter', 'id');
      return operation('virtualMachineScaleSets.reimage');
    }
    if (rest === 'networkInterfaces')
      return {
        json: {
          value: found.members.map(({ id }) => ({
            properties: {
              virtualMachine: {
                id: `${GROUP}/virtualMachineScaleSets/${name}/virtualMachines/${id}`,
              },
              ipConfigurations: [{ properties: { privateIPAddress: `10.0.0.${id}` } }],
            },
          })),
        },
      };
    if (rest !== 'virtualMachines' || query.get('$expand') !== 'instanceView')
      throw fault(404, 'NotFound', rest);
    // Two instances a page.
    const page = Number(query.get('$skiptoken') ?? 0);
    const value = found.members.slice(page, page + 2).map((one) => ({
      instanceId: one.id,
      properties: {
        latestModelApplied: one.model === found.model,
        provisioningState: 'Succeeded',
        timeCreated: one.created,
        storageProfile: { imageReference: { id: one.image.toUpperCase() } },
        instanceView: {
          statuses: [{ code: 'ProvisioningState/succeeded' }, { code: 'PowerState/running' }],
          vmHealth: { status: { code: one.health } },
        },
      },
    }));
    const next = new URL(request.path, endpoint);
    for (const [key, one] of request.query) next.searchParams.set(key, one);
    next.searchParams.set('$skiptoken', String(page + 2));
    return { json: { value, ...(page + 2 < found.members.length ? { nextLink: next.href } : {}) } };
  };

  const respond = (request: JsonRequest): JsonResponse => {
    const { method, path, query, headers, bytes } = request;
    if (path === '/tenant-1/oauth2/v2.0/token') {
      const form = new URLSearchParams(bytes.toString());
      const isValid =
        form.get('grant_type') === 'client_credentials' &&
        form.get('scope') === 'https://management.azure.com/.default' &&
        form.get('client_secret') === 'secret-1';
      if (isValid) return { json: { access_token: 'token-1', expires_in: 3599 } };
      const json = { error: 'invalid_client', error_description: 'Invalid client secret.' };
      throw new Problem({ status: 401, json }, true);
    }
    if (path.startsWith('/storage/')) {
      if (storage.isClosed) throw fault(403, 'AuthenticationFailed', path, true);
      if (!disks.has(path.slice('/storage/'.length))) throw fault(404, 'NotFound', path, true);
      const [, from = 0, to = 0] = /^bytes=(\d+)-(\d+)$/.exec(String(headers['x-ms-range'])) ?? [];
      const [start, end] = [Number(from), Number(to) + 1];
      const isAligned = start % 512 === 0 && end % 512 === 0 && end - start <= PAGE;
      const isValid =
        isAligned && end - start === bytes.length && headers['authorization'] === undefined;
      const md5 = createHash('md5').update(bytes).digest('base64');
      if (!isValid || query.get('comp') !== 'page' || headers['content-md5'] !== md5)
        throw fault(400, 'InvalidPageRange', `${start} ${end}`);
      bytes.copy(written, start);
      return { status: 201 };
    }
    if (headers['authorization'] !== 'Bearer token-1')
      throw fault(401, 'InvalidAuthenticationToken', 'no token', true);
    const [, id = ''] = /^\/operations\/(\d+)$/.exec(path) ?? [];
    const running = operations.get(id);
    if (running !== undefined) {
      running.polls += 1;
      // The first answer is never the last.
      if (running.polls === 1)
        return { json: { status: 'InProgress' }, headers: { 'retry-after': '0' } };
      return { json: running.json };
    }
    if (!path.startsWith(`${GROUP}/`)) throw fault(404, 'NotFound', path);
    const right = azureRightOf(method, path);
    if (!rights.has(right)) throw fault(403, 'AuthorizationFailed', right);
    const rest = path.slice(GROUP.length);
    const version = VERSIONS.find(([matches]) => matches.test(rest))?.[1];
    if (query.get('api-version') !== version) throw fault(400, 'InvalidApiVersionParameter', rest);
    if (/^\/galleries\/\w+\/images\/\w+\/versions$/.test(rest) && method === 'GET')
      return { json: { value: [...versions].map(([one, body]) => ({ ...body, name: one })) } };
    const [kind = '', name = '', ...more] = rest.slice(1).split('/');
    if (kind === 'disks' && name === '' && method === 'GET')
      return { json: { value: disks.values().toArray() } };
    if (kind === 'disks') return disk(request, name, more[0] ?? '');
    if (kind === 'galleries') return image(request, more[3] ?? '');
    if (name !== '') return scaleSet(request, name, more.join('/'));
    if (method !== 'GET') throw fault(404, 'NotFound', path);
    return { json: { value: [...sets.values()].map(bodyOf) } };
  };

  const server = await startJsonServer(respond);
  ({ endpoint } = server);
  return {
    ...server,
    sets,
    disks,
    storage,
    versions,
    written: () => written,
    settle: (now = new Date()) => {
      for (const set of sets.values()) {
        const size = Number((set.body['sku'] as Json)['capacity']);
        set.members.splice(size);
        while (set.members.length < size) {
          count += 1;
          set.members.push({
            id: String(count),
            model: set.model,
            image: imageIn(set),
            health: 'HealthState/healthy',
            created: now.toISOString(),
          });
        }
      }
    },
    begin: () => {
      for (const set of sets.values()) {
        const { upgradePolicy } = set.body['properties'] as Record<string, Json>;
        const isStale = set.members.some(({ model }) => model !== set.model);
        if (upgradePolicy?.['mode'] !== 'Rolling' || !isStale) continue;
        upgrades += 1;
        set.upgrade = { code: 'RollingForward', start: `2026-01-01T00:00:${upgrades}Z` };
      }
    },
    finish: (code, message) => {
      for (const set of sets.values()) {
        if (set.upgrade === undefined) throw new Error('no upgrade');
        set.upgrade = { ...set.upgrade, code, ...(message === undefined ? {} : { message }) };
        if (code === 'Completed') set.members = [];
      }
    },
    changes: () => {
      const before = changed;
      changed = [];
      return before;
    },
  };
}

function imageIn({ body }: ScaleSet): string {
  const { virtualMachineProfile } = body['properties'] as Record<string, Json>;
  const storage = virtualMachineProfile?.['storageProfile'] as Record<string, Json>;
  return String(storage['imageReference']?.['id']);
}

function bodyOf({ body, etag }: ScaleSet): Json {
  return { ...body, etag: String(etag) };
}
