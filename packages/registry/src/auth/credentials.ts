import {
  type AuthEntry,
  type AuthFile,
  authFilePaths,
  type CredentialEnvironment,
  helpersOf,
  hostOf,
  namesOf,
  readAuthFile,
  serverOf,
} from './auth-file.ts';
import { runCredentialHelper } from './credential-helper.ts';
import type { Credentials } from './credential-types.ts';

/**
 * Returns the credentials for a repository, stored by the user's login tools. Searches only
 * `REGISTRY_AUTH_FILE` if set; else Docker's configuration, then podman's. Within a file, a helper
 * for the registry precedes the default helper, and that the file's own entries.
 * @param domain as in references: `docker.io`, `registry.example:5000`
 * @throws CONFIG_INVALID for a malformed file; ACCESS_DENIED for a failing helper
 */
export async function findCredentials(
  domain: string,
  path: string,
  env: CredentialEnvironment,
): Promise<Credentials | undefined> {
  for (const file of authFilePaths(env)) {
    const found = await readAuthFile(file);
    if (found === undefined) continue;
    const credentials = await credentialsIn(found, domain, path, env);
    if (credentials !== undefined) return credentials;
  }
  return undefined;
}

async function credentialsIn(
  file: AuthFile,
  domain: string,
  path: string,
  env: CredentialEnvironment,
): Promise<Credentials | undefined> {
  for (const name of helpersOf(file, domain)) {
    const helper = { name, file: file.path, env };
    const found = await runCredentialHelper(helper, serverOf(domain));
    if (found !== undefined) return found;
  }
  const entries = new Map(Object.entries(file.auths).map(([key, entry]) => [hostOf(key), entry]));
  for (const key of [...namespacesOf(domain, path), ...namesOf(domain).map(hostOf)]) {
    const entry = entries.get(key);
    const found = entry === undefined ? undefined : credentialsOf(entry);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Returns the namespaces of a repository, longest first: an entry may cover a part of a registry
 * (containers-auth.json(5)).
 */
function namespacesOf(domain: string, path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => `${domain}/${parts.slice(0, parts.length - index).join('/')}`);
}

function credentialsOf(entry: AuthEntry): Credentials | undefined {
  const { auth, identitytoken, registrytoken } = entry;
  if (isText(registrytoken)) return { kind: 'bearer', token: registrytoken };
  if (isText(identitytoken)) return { kind: 'refresh', token: identitytoken };
  let { username, password } = entry;
  if (isText(auth)) {
    const pair = Buffer.from(auth, 'base64').toString();
    const colon = pair.indexOf(':');
    if (colon === -1) return undefined;
    username = pair.slice(0, colon);
    password = pair.slice(colon + 1).replace(/\0+$/, '');
  }
  return isText(username) && isText(password)
    ? { kind: 'password', username, password }
    : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
