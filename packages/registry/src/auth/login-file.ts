import { mkdir, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isErrno, LktError, undefinedIf, writeFileAtomic } from '@lkt/core';
import {
  type AuthFile,
  authFilePaths,
  type CredentialEnvironment,
  helpersOf,
  hostOf,
  namesOf,
  readAuthFile,
  serverOf,
} from './auth-file.ts';
import { eraseWithHelper, programOf, storeWithHelper } from './credential-helper.ts';

/** Where the credentials of a registry are stored. */
export interface LoginPlace {
  readonly file: string;
  /** The program that has the password; undefined if the file has it. */
  readonly helper: string | undefined;
}

/**
 * Saves a password as `docker login` does: with the credential helper that the file names for the
 * registry, else in the file, which only its owner may read. Writes the first file that is searched
 * for credentials, atomically, and keeps its other content.
 * @param domain as in references: `docker.io`, `registry.example:5000`
 * @throws CONFIG_INVALID for a malformed file; ACCESS_DENIED, TOOL_MISSING, IO_FAILED, DISK_FULL
 */
export async function saveLogin(
  domain: string,
  login: { readonly username: string; readonly password: string },
  env: CredentialEnvironment,
): Promise<LoginPlace> {
  const [path] = authFilePaths(env);
  if (path === undefined)
    throw new LktError('CONFIG_INVALID', 'there is no place for the password', {
      fix: 'set HOME or REGISTRY_AUTH_FILE',
    });
  const file = await readAuthFile(path);
  const [name] = file === undefined ? [] : helpersOf(file, domain);
  if (name !== undefined) {
    await storeWithHelper({ name, file: path, env }, serverOf(domain), login);
    return { file: path, helper: programOf({ name, file: path }) };
  }
  const pair = Buffer.from(`${login.username}:${login.password}`).toString('base64');
  const auths = { ...withoutRegistry(file, domain), [serverOf(domain)]: { auth: pair } };
  await write(path, { ...file?.document, auths });
  return { file: path, helper: undefined };
}

/**
 * Removes the credentials of a registry from every file and helper that is searched for them.
 * @returns where they were; empty without a login
 * @throws CONFIG_INVALID for a malformed file; ACCESS_DENIED, TOOL_MISSING, IO_FAILED, DISK_FULL
 */
export async function removeLogin(
  domain: string,
  env: CredentialEnvironment,
): Promise<readonly LoginPlace[]> {
  const places: LoginPlace[] = [];
  for (const path of authFilePaths(env)) {
    const file = await readAuthFile(path);
    if (file === undefined) continue;
    for (const name of helpersOf(file, domain)) {
      if (await eraseWithHelper({ name, file: path, env }, serverOf(domain)))
        places.push({ file: path, helper: programOf({ name, file: path }) });
    }
    const auths = withoutRegistry(file, domain);
    if (Object.keys(auths).length === Object.keys(file.auths).length) continue;
    await write(path, { ...file.document, auths });
    places.push({ file: path, helper: undefined });
  }
  return places;
}

/** Logins in a file, without their secrets. */
export interface LoginFile {
  readonly path: string;
  /** Permission bits of the file. */
  readonly mode: number;
  /** Registries with an entry, in the form of references, and repositories of podman. */
  readonly registries: readonly string[];
  /** Credential helpers, as programs. */
  readonly helpers: readonly string[];
}

/**
 * Lists the files that are searched for credentials and exist.
 * @throws CONFIG_INVALID for a malformed file
 */
export async function listLogins(env: CredentialEnvironment): Promise<readonly LoginFile[]> {
  const found: LoginFile[] = [];
  for (const path of authFilePaths(env)) {
    const file = await readAuthFile(path);
    if (file === undefined) continue;
    const { auths, credHelpers, credsStore } = file;
    const names = [
      ...Object.values(credHelpers),
      ...(credsStore === undefined ? [] : [credsStore]),
    ];
    found.push({
      path,
      mode: (await stat(path)).mode & 0o777,
      registries: [...new Set(Object.keys(auths).map(registryOf))].toSorted(),
      helpers: [...new Set(names.map((name) => programOf({ name, file: path })))],
    });
  }
  return found;
}

function registryOf(key: string): string {
  const host = hostOf(key);
  return namesOf('docker.io').map(hostOf).includes(host) ? 'docker.io' : host;
}

/** Returns the entries of other registries, and of parts of this one. */
function withoutRegistry(file: AuthFile | undefined, domain: string): AuthFile['auths'] {
  const own = new Set(namesOf(domain).map(hostOf));
  const entries = Object.entries(file?.auths ?? {}).filter(([key]) => !own.has(hostOf(key)));
  return Object.fromEntries(entries);
}

/** Returns the file that a path means, through links, even if it does not exist yet. */
async function targetOf(path: string): Promise<string> {
  const real = await realpath(path).catch(undefinedIf('ENOENT'));
  if (real !== undefined) return real;
  const link = await readlink(path).catch(undefinedIf('ENOENT', 'EINVAL'));
  return link === undefined ? path : targetOf(resolve(await realpath(dirname(path)), link));
}

/** Replaces a file, or the target of a link, atomically. */
async function write(path: string, document: object): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const target = await targetOf(path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFileAtomic(target, `${JSON.stringify(document, undefined, '\t')}\n`, 0o600);
  } catch (cause) {
    if (cause instanceof LktError) throw cause;
    if (isErrno(cause, 'ENOSPC', 'EDQUOT'))
      throw new LktError('DISK_FULL', `no space left to write ${path}`, { cause });
    throw new LktError('IO_FAILED', `cannot write ${path}`, { cause });
  }
}
