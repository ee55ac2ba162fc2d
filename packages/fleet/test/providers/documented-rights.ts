import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DOCS = join(import.meta.dirname, '../../../../docs/fleet');

const read = (path: string): string => readFileSync(join(DOCS, path), 'utf8');

/** Returns the actions of a policy for AWS, such as `aws.json`. */
export function awsRights(name: string): ReadonlySet<string> {
  const { Statement: statements } = JSON.parse(read(`rights/${name}`)) as {
    readonly Statement: readonly { readonly Action: readonly string[] }[];
  };
  return new Set(statements.flatMap(({ Action }) => Action));
}

/** Returns the privileges of the role for virtual media by Redfish. */
export function redfishPrivileges(): ReadonlySet<string> {
  const [, role = ''] = /^## Rights\n[^]*?```json\n([^]*?)```/m.exec(read('redfish.md')) ?? [];
  const { AssignedPrivileges: privileges } = JSON.parse(role) as {
    readonly AssignedPrivileges: readonly string[];
  };
  return new Set(privileges);
}

/** Returns the permissions of the role for Google's cloud. */
export function gcpRights(): ReadonlySet<string> {
  const listed = read('rights/gcp.yml').matchAll(/^ {2}- ([\w.]+)$/gm);
  return new Set([...listed].map(([, right = '']) => right));
}

/** Returns the actions of the role for Azure. */
export function azureRights(): ReadonlySet<string> {
  const { Actions: actions } = JSON.parse(read('rights/azure.json')) as {
    readonly Actions: readonly string[];
  };
  return new Set(actions);
}

/** Returns the access rules of the application credential for OpenStack. */
export function openStackRules(): readonly { service: string; method: string; path: string }[] {
  return JSON.parse(read('rights/openstack.json')) as ReturnType<typeof openStackRules>;
}

/** Returns the permission that Google documents for a call. */
export function gcpRightOf(method: string, path: string): string {
  if (path.startsWith('/upload/storage/')) return 'storage.objects.create';
  if (path.startsWith('/storage/'))
    return `storage.objects.${method === 'DELETE' ? 'delete' : 'get'}`;
  const [, scope = '', rest = ''] =
    /^\/compute\/v1\/projects\/[\w-]+\/(global|aggregated|(?:zones|regions)\/[\w-]+)\/(.*)$/.exec(
      path,
    ) ?? [];
  const [kind = '', name, verb] = rest.split('/');
  if (kind === 'operations') return `compute.${scope.replace(/s?\/.*/, '')}Operations.get`;
  if (scope === 'aggregated' || verb === 'listManagedInstances') return `compute.${kind}.list`;
  if (method === 'PATCH' || verb !== undefined) return `compute.${kind}.update`;
  if (method === 'POST') return `compute.${kind}.create`;
  if (method === 'DELETE') return `compute.${kind}.delete`;
  return `compute.${kind}.${name === undefined ? 'list' : 'get'}`;
}

/** Returns the action that Azure documents for a call below a resource provider. */
export function azureRightOf(method: string, path: string): string {
  const [, provider = '', rest = ''] = /\/providers\/([\w.]+)\/(.*)$/.exec(path) ?? [];
  const parts = rest.split('/');
  const kinds = parts.filter((_, index) => index % 2 === 0);
  const verbs: Readonly<Record<string, string>> = {
    GET: 'read',
    PUT: 'write',
    PATCH: 'write',
    POST: 'action',
  };
  return [provider, ...kinds, verbs[method] ?? method.toLowerCase()].join('/');
}
