import { isUtf8 } from 'node:buffer';
import { type SourceFile, sourceError } from '@lkt/core';
import { toRaw } from '@lkt/oci';
import { mountPlan } from '../context/mount-plan.ts';
import type { ResolvedMount, RunStep } from '@lkt/dockerfile';
import { cacheDirectory } from './cache-mount.ts';
import type { MountSources } from './mount-sources.ts';
import { copyContext } from '../copy/copy-files.ts';
import { CopyTarget } from '../copy/copy-target.ts';
import type { Credentials } from '../secrets/secrets.ts';
import type { Layers } from '../layers/layers.ts';
import { statAt, textPathAt } from '../system/raw-fs.ts';
import { resolveIn } from '../system/rooted.ts';
import type { RunMount } from '../sandbox/sandbox-mounts.ts';

/**
 * Returns the mount of a `RUN --mount`; undefined for an optional secret or agent without a value.
 * `lock` names a lock to hold while the command runs.
 * @param from the source file system; undefined for the context
 */
export async function prepareMount(
  mount: ResolvedMount,
  from: Layers | undefined,
  sources: MountSources,
): Promise<{ readonly mount: RunMount; readonly lock?: string } | undefined> {
  const { type, target = '/', readOnly } = mount;
  switch (type) {
    case 'tmpfs': {
      const { size } = mount;
      return { mount: { type: 'tmpfs', target, mode: 0o1777, size, isFile: false, isOwn: true } };
    }
    case 'bind': {
      const { source, isFile } = await bindSource(mount, from, sources);
      return { mount: { type: 'bind', source, target, readOnly, isFile, isOwn: true } };
    }
    case 'cache': {
      const begin = from ?? [];
      const { name, path } = await cacheDirectory(mount, begin, sources);
      const { source, isFile } =
        begin.length === 0
          ? { source: path, isFile: false }
          : mountable(path, mount, sources.job.file);
      return {
        // Other commands may change it meanwhile.
        mount: { type: 'bind', source, target, readOnly, isFile, isOwn: false },
        lock: mount.sharing === 'shared' ? undefined : `mount-${name}`,
      };
    }
    case 'secret':
    case 'ssh': {
      // A secret may be only in a variable.
      const source = mount.target === undefined ? undefined : await privateFile(mount, sources);
      if (source === undefined) return undefined;
      return {
        mount: { type: 'bind', source, target, readOnly: true, isFile: true, isOwn: false },
      };
    }
    default:
      return type satisfies never;
  }
}

/** Returns the path of a file in memory: a secret, or the socket of an agent. */
async function privateFile(
  mount: ResolvedMount,
  { credentials, privates }: MountSources,
): Promise<string | undefined> {
  const { type, id, mode = type === 'secret' ? 0o400 : 0o600, uid = 0, gid = 0 } = mount;
  const secret = type === 'secret' ? credentials.secrets.get(id) : undefined;
  if (secret !== undefined) return privates?.addSecret(secret, { mode, uid, gid });
  const agent = type === 'ssh' ? credentials.ssh.get(id) : undefined;
  return agent === undefined ? undefined : privates?.addAgent(agent, { mode, uid, gid });
}

/**
 * Returns the variables that secret and ssh mounts set, as `NAME=value`.
 * @throws LktError BUILD_FAILED for a secret that a variable cannot hold
 */
export function mountVariables(
  step: RunStep,
  { secrets, ssh }: Credentials,
  file: SourceFile,
): readonly string[] {
  const variables = step.mounts.flatMap(({ type, id, env, position }) => {
    const bytes = type === 'secret' && env !== undefined ? secrets.get(id) : undefined;
    if (bytes === undefined) return [];
    if (bytes.includes(0) || !isUtf8(bytes)) {
      const message = `the secret "${id}" is not text, so the variable ${env ?? ''} cannot hold it`;
      throw sourceError('BUILD_FAILED', file, position, message, { fix: 'use target= instead' });
    }
    return [`${env ?? ''}=${bytes.toString()}`];
  });
  const agent = step.mounts.find(({ type, id }) => type === 'ssh' && ssh.has(id));
  const hasOwn = step.env.some((variable) => variable.startsWith('SSH_AUTH_SOCK='));
  if (agent === undefined || hasOwn) return variables;
  return [...variables, `SSH_AUTH_SOCK=${agent.target ?? ''}`];
}

async function bindSource(
  mount: ResolvedMount,
  from: Layers | undefined,
  { job, context, signal, mounts }: MountSources,
): Promise<{ readonly source: string; readonly isFile: boolean }> {
  let root: string;
  if (from === undefined) {
    ({ root } = await mounts.upper([]));
    const { position } = mount;
    const target = new CopyTarget(root, { position }, job.file, signal);
    await copyContext(target, context, mountPlan(context, mount, job.file));
  } else {
    root = mount.readOnly ? await mounts.lower(from) : (await mounts.upper(from)).root;
  }
  return mountable(root, mount, job.file);
}

/** Returns the file or directory at the source path of a mount. */
function mountable(
  root: string,
  mount: ResolvedMount,
  file: SourceFile,
): { readonly source: string; readonly isFile: boolean } {
  const real = resolveIn(root, toRaw(mount.source.slice(1)));
  const stats = real === undefined ? undefined : statAt(root, real);
  if (real === undefined || stats === undefined) {
    const message = `${mount.source} does not exist in the image`;
    throw sourceError('BUILD_FAILED', file, mount.position, message);
  }
  const source = textPathAt(root, real);
  if (source === undefined) {
    const message = `${mount.source} leads to a name that is not UTF-8`;
    throw sourceError('BUILD_FAILED', file, mount.position, message);
  }
  return { source, isFile: !stats.isDirectory() };
}
