import { lstatSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isErrno, LktError, type SourceFile, sourceError } from '@lkt/core';
import type { NewImageConfig } from '@lkt/oci';
import type { BuildPlan, ResolvedMount } from '@lkt/dockerfile';
import type { BuildRequest, SecretSource } from '../engine.ts';
import { SecretFinder } from './secret-finder.ts';

/** As in BuildKit. */
const MAX_SECRET = 500 * 1024;

/** The values of a plan's secret and ssh mounts, by id. Optional ones may be missing. */
export interface Credentials {
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Sockets of agents. */
  readonly ssh: ReadonlyMap<string, string>;
}

/**
 * Reads the secrets that a plan uses, and no others.
 * @throws LktError NOT_FOUND at the mount of a required secret or agent without a value; IO_FAILED,
 * UNSUPPORTED
 */
export async function readCredentials(
  plan: BuildPlan,
  file: SourceFile,
  given: Pick<BuildRequest, 'secrets' | 'ssh'>,
): Promise<Credentials> {
  const secrets = new Map<string, Buffer>();
  const ssh = new Map<string, string>();
  for (const mount of mountsOf(plan)) {
    const { type, id, required, position } = mount;
    const missing = (what: string, fix: string): LktError =>
      sourceError('NOT_FOUND', file, position, `${what} is missing`, { fix });
    if (type === 'secret' && !secrets.has(id)) {
      const source = given.secrets?.get(id);
      if (source !== undefined) secrets.set(id, await readSecret(id, source));
      else if (required)
        throw missing(`the secret "${id}"`, `pass it with --secret id=${id},src=FILE`);
    }
    if (type === 'ssh' && !ssh.has(id)) {
      const socket = given.ssh?.get(id);
      if (socket !== undefined) ssh.set(id, checkSocket(id, socket));
      else if (required)
        throw missing(
          `the SSH agent "${id}"`,
          `pass it with --ssh ${id === 'default' ? id : `${id}=SOCKET`}`,
        );
    }
  }
  return { secrets, ssh };
}

/**
 * Returns the Authorization header for a host from the secrets: `HTTP_AUTH_HEADER_host` is the
 * header, `HTTP_AUTH_TOKEN_host` a bearer token (Dockerfile reference, "Adding files from a URL").
 * @throws LktError IO_FAILED; UNSUPPORTED for a value that a header cannot have
 */
export async function authorizationFor(
  hostname: string,
  { secrets }: Pick<BuildRequest, 'secrets'>,
): Promise<string | undefined> {
  for (const [prefix, scheme] of [
    ['HTTP_AUTH_HEADER_', ''],
    ['HTTP_AUTH_TOKEN_', 'Bearer '],
  ] as const) {
    const id = `${prefix}${hostname}`;
    const source = secrets?.get(id);
    if (source === undefined) continue;
    const text = (await readSecret(id, source)).toString('latin1').trim();
    if (/^[\x20-\x7e]+$/.test(text)) return scheme + text;
    throw new LktError('UNSUPPORTED', `the secret "${id}" is not one line of ASCII`);
  }
  return undefined;
}

/**
 * Rejects an image config that contains a secret, as everyone can read it.
 * @throws LktError BUILD_FAILED
 */
export function refuseSecretConfig(config: NewImageConfig, { secrets }: Credentials): void {
  const id = new SecretFinder(secrets).find(Buffer.from(JSON.stringify(config)));
  if (id === undefined) return;
  throw new LktError('BUILD_FAILED', `the secret "${id}" would be in the config of the image`, {
    fix: 'do not pass it as an ARG, ENV, LABEL or argument of a command',
  });
}

function mountsOf(plan: BuildPlan): readonly ResolvedMount[] {
  return plan.stages
    .flatMap(({ steps }) => steps)
    .flatMap((step) => (step.kind === 'run' ? step.mounts : []));
}

async function readSecret(id: string, source: SecretSource): Promise<Buffer> {
  const bytes = await bytesOf(id, source);
  if (bytes !== undefined && bytes.length <= MAX_SECRET) return bytes;
  throw new LktError('UNSUPPORTED', `the secret "${id}" is longer than ${MAX_SECRET} bytes`);
}

/** Returns the value of a secret; undefined for a file that is too long to read. */
async function bytesOf(id: string, source: SecretSource): Promise<Buffer | undefined> {
  if (source.kind === 'env') return Buffer.from(source.value);
  const { path } = source;
  try {
    return statSync(path).size > MAX_SECRET ? undefined : await readFile(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR')) throw error;
    const message = `cannot read the secret "${id}" from ${path}`;
    throw new LktError('IO_FAILED', message, { cause: error });
  }
}

function checkSocket(id: string, path: string): string {
  try {
    if (lstatSync(path).isSocket()) return path;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
  }
  throw new LktError('NOT_FOUND', `${path} is not the socket of an SSH agent`, {
    fix: `start one with: eval $(ssh-agent), or name another with --ssh ${id}=SOCKET`,
  });
}
