import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { runCredentialHelper } from './credential-helper.ts';
import type { Credentials } from './credential-types.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** An entry of `auths`. */
interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** config.json of Docker, or its subset in auth.json of podman, skopeo and buildah. */
interface AuthFile {
  readonly path: string;
  readonly auths: Readonly<Record<string, AuthEntry>>;
  readonly credHelpers: Readonly<Record<string, string>>;
  readonly credsStore: string | undefined;
}

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
  env: Environment,
): Promise<Credentials | undefined> {
  for (const file of pathsOf(env)) {
    const found = await readAuthFile(file);
    if (found === undefined) continue;
    const credentials = await credentialsIn(found, domain, path, env);
    if (credentials !== undefined) return credentials;
  }
  return undefined;
}

function pathsOf(env: Environment): string[] {
  const set = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const only = set('REGISTRY_AUTH_FILE');
  if (only !== undefined) return [only];
  const home = set('HOME');
  const docker = set('DOCKER_CONFIG') ?? (home === undefined ? undefined : join(home, '.docker'));
  const config = set('XDG_CONFIG_HOME') ?? (home === undefined ? undefined : join(home, '.config'));
  const runtime = set('XDG_RUNTIME_DIR');
  return [
    ...(docker === undefined ? [] : [join(docker, 'config.json')]),
    ...(runtime === undefined ? [] : [join(runtime, 'containers', 'auth.json')]),
    ...(config === undefined ? [] : [join(config, 'containers', 'auth.json')]),
  ];
}

async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('CONFIG_INVALID', `cannot read ${path}`, { cause });
  }
  try {
    const { auths, credHelpers, credsStore } = record(JSON.parse(text));
    return {
      path,
      auths: record(auths ?? {}) as Record<string, AuthEntry>,
      credHelpers: record(credHelpers ?? {}) as Record<string, string>,
      credsStore: typeof credsStore === 'string' && credsStore !== '' ? credsStore : undefined,
    };
  } catch {
    // The parser's message would quote the file, which contains passwords.
    throw new LktError('CONFIG_INVALID', `${path} is not a valid file of registry credentials`);
  }
}

async function credentialsIn(
  { path: file, auths, credHelpers, credsStore }: AuthFile,
  domain: string,
  path: string,
  env: Environment,
): Promise<Credentials | undefined> {
  const names = namesOf(domain);
  const helper = names.map((name) => credHelpers[name]).find((name) => name !== undefined);
  const server = domain === 'docker.io' ? DOCKER_HUB : domain;
  for (const program of [helper, credsStore]) {
    if (program === undefined) continue;
    const found = await runCredentialHelper(program, server, file, env);
    if (found !== undefined) return found;
  }
  const entries = new Map(Object.entries(auths).map(([key, entry]) => [hostOf(key), entry]));
  for (const key of [...namespacesOf(domain, path), ...names.map(hostOf)]) {
    const entry = entries.get(key);
    const found = entry === undefined ? undefined : credentialsOf(entry);
    if (found !== undefined) return found;
  }
  return undefined;
}

const DOCKER_HUB = 'https://index.docker.io/v1/';

/**
 * Returns the names of a registry in auth files. They match as a whole, so `registry.example` does
 * not match `registry.example.org`.
 */
function namesOf(domain: string): string[] {
  return domain === 'docker.io'
    ? [DOCKER_HUB, 'docker.io', 'index.docker.io', 'registry-1.docker.io']
    : [domain, `https://${domain}`, `http://${domain}`];
}

/**
 * Returns the namespaces of a repository, longest first: an entry may cover a part of a registry
 * (containers-auth.json(5)).
 */
function namespacesOf(domain: string, path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => `${domain}/${parts.slice(0, parts.length - index).join('/')}`);
}

/**
 * Returns `registry.example` for `https://registry.example/v1/`, the form of old Docker versions.
 */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
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

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error('not an object');
  return value as Record<string, unknown>;
}
