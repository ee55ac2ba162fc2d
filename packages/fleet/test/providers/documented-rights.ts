import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DOCS = join(import.meta.dirname, '../../../../docs/fleet');

/** Returns the first block of a language below the heading "Rights" of a page. */
function blockOf(page: string, language: string): string {
  const text = readFileSync(join(DOCS, page), 'utf8');
  const [, rights = ''] = /^## Rights\n([\s\S]*?)(?:^## |(?![\s\S]))/m.exec(text) ?? [];
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(rights)?.[1];
  if (found === undefined) throw new Error(`${page} documents no rights`);
  return found;
}

/** Returns the actions of the policy for AWS on a page. */
export function awsRights(page: string): ReadonlySet<string> {
  const { Statement: statements } = JSON.parse(blockOf(page, 'json')) as {
    readonly Statement: readonly { readonly Action: readonly string[] }[];
  };
  return new Set(statements.flatMap(({ Action }) => Action));
}

/** Returns the privileges of the role for virtual media by Redfish. */
export function redfishPrivileges(): ReadonlySet<string> {
  const { AssignedPrivileges: privileges } = JSON.parse(blockOf('redfish.md', 'json')) as {
    readonly AssignedPrivileges: readonly string[];
  };
  return new Set(privileges);
}

/** Returns the permissions of the role for Google's cloud. */
export function gcpRights(): ReadonlySet<string> {
  const listed = blockOf('gcp.md', 'yaml').matchAll(/^ {2}- ([\w.]+)$/gm);
  return new Set([...listed].map(([, right = '']) => right));
}

/** Returns the actions of the role for Azure. */
export function azureRights(): ReadonlySet<string> {
  const { Actions: actions } = JSON.parse(blockOf('azure.md', 'json')) as {
    readonly Actions: readonly string[];
  };
  return new Set(actions);
}

/** Returns the access rules of the application credential for OpenStack. */
export function openStackRules(): readonly { service: string; method: string; path: string }[] {
  return JSON.parse(blockOf('openstack.md', 'json')) as ReturnType<typeof openStackRules>;
}

/** Returns the permission that Google documents for a call. */
export function gcpRightOf(method: string, path: string): string {
  if (path.startsWith('/upload/storage/')) return 'storage.objects.create';
  if (path.startsWith('/storage/')) return 'storage.objects.get';
  const [, scope = '', rest = ''] =
    /^\/compute\/v1\/projects\/[\w-]+\/(global|aggregated|(?:zones|regions)\/[\w-]+)\/(.*)$/.exec(
      path,
    ) ?? [];
  const [kind = '', name, verb] = rest.split('/');
  if (kind === 'operations') return `compute.${scope.replace(/s?\/.*/, '')}Operations.get`;
  if (scope === 'aggregated' || verb === 'listManagedInstances') return `compute.${kind}.list`;
  if (method === 'PATCH' || verb !== undefined) return `compute.${kind}.update`;
  if (method === 'POST') return `compute.${kind}.create`;
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
