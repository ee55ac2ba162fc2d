import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError, ownRuntimeDirectory } from '@lkt/core';

/** The environment that names the files of credentials. */
export type CredentialEnvironment = Readonly<Record<string, string | undefined>>;

/** An entry of `auths`. */
export interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** config.json of Docker, or its subset in auth.json of podman, skopeo and buildah. */
export interface AuthFile {
  readonly path: string;
  /** The whole document. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly auths: Readonly<Record<string, AuthEntry>>;
  readonly credHelpers: Readonly<Record<string, string>>;
  readonly credsStore: string | undefined;
}

/**
 * Returns the files that may have credentials, in the order in which they are searched: only
 * `REGISTRY_AUTH_FILE` if set; else Docker's configuration, then podman's.
 */
export function authFilePaths(env: CredentialEnvironment): readonly string[] {
  const set = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const only = set('REGISTRY_AUTH_FILE');
  if (only !== undefined) return [only];
  const home = set('HOME');
  const docker = set('DOCKER_CONFIG') ?? (home === undefined ? undefined : join(home, '.docker'));
  const config = set('XDG_CONFIG_HOME') ?? (home === undefined ? undefined : join(home, '.config'));
  const runtime = ownRuntimeDirectory(env);
  return [
    ...(docker === undefined ? [] : [join(docker, 'config.json')]),
    ...(runtime === undefined ? [] : [join(runtime, 'containers', 'auth.json')]),
    ...(config === undefined ? [] : [join(config, 'containers', 'auth.json')]),
  ];
}

/**
 * Reads a file of credentials; returns undefined for a missing file.
 * @throws CONFIG_INVALID, without a word of its content
 */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('CONFIG_INVALID', `cannot read ${path}`, {
      cause,
      fix: 'make it a readable file, or move it away',
    });
  }
  try {
    const document = record(JSON.parse(text));
    const { auths, credHelpers, credsStore } = document;
    return {
      path,
      document,
      auths: valuesOf(auths, isRecord),
      credHelpers: valuesOf(credHelpers, isText),
      credsStore: typeof credsStore === 'string' && credsStore !== '' ? credsStore : undefined,
    };
  } catch {
    // The parser's message would quote the file, which contains passwords.
    throw new LktError('CONFIG_INVALID', `${path} is not a valid file of registry credentials`, {
      fix: 'correct its JSON, or move it away',
    });
  }
}

/** Returns the name by which credential helpers and Docker's own entries know a registry. */
export function serverOf(domain: string): string {
  return domain === 'docker.io' ? DOCKER_HUB : domain;
}

/** Returns the credential helper of a registry: its own, else the default one. */
export function helpersOf(
  { credHelpers, credsStore }: AuthFile,
  domain: string,
): readonly string[] {
  const own = namesOf(domain)
    .map((name) => credHelpers[name])
    .find((name) => name !== undefined);
  return [own, credsStore].filter((name) => name !== undefined);
}

const DOCKER_HUB = 'https://index.docker.io/v1/';

/**
 * Returns the names of a registry in auth files. They match as a whole, so `registry.example` does
 * not match `registry.example.org`.
 */
export function namesOf(domain: string): string[] {
  return domain === 'docker.io'
    ? [DOCKER_HUB, 'docker.io', 'index.docker.io', 'registry-1.docker.io']
    : [domain, `https://${domain}`, `http://${domain}`];
}

/**
 * Returns `registry.example` for `https://registry.example/v1/`, the form of old Docker versions.
 */
export function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
}

function record(value: unknown): Record<string, unknown> {
  if (isRecord(value)) return value;
  throw new Error('not an object');
}

/** Returns the values of a type; other tools ignore others too. */
function valuesOf<T>(
  values: unknown,
  isWanted: (value: unknown) => value is T,
): Readonly<Record<string, T>> {
  const entries = Object.entries(record(values ?? {}));
  return Object.fromEntries(entries.filter((entry): entry is [string, T] => isWanted(entry[1])));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
