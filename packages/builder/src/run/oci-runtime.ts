import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { CAPABILITY_NAMES } from './command-user.ts';
import { resourceLimits } from './resource-limits.ts';
import {
  CAPABILITIES,
  environmentOf,
  MASKED_PATHS,
  READ_ONLY_PATHS,
  type Sandbox,
  thermalThrottles,
  tmpfsOptions,
} from '../sandbox/sandbox.ts';
import { MAP_IDS } from '../system/map-ids.ts';
import { seccompProfile } from '../seccomp/profile.ts';

/** Returns the error for a user that the user namespace lacks. */
export function rootlessIdError({ user, canSetGroups }: Sandbox): LktError | undefined {
  if (canSetGroups || (user.uid === 0 && user.gid === 0)) return undefined;
  const message = `user ${user.uid}:${user.gid} does not exist in a build without root`;
  return new LktError('HOST_UNSUPPORTED', message, { fix: MAP_IDS });
}

/** RLIM_INFINITY, which a number in JavaScript cannot hold. */
const INFINITY = '18446744073709551615';

/** Returns `config.json` of a bundle: runtime-spec, config.md and config-linux.md. */
export function runtimeConfig(sandbox: Sandbox, directory: string): string {
  const { uid, gid, groups } = sandbox.user;
  const held = uid === 0 ? CAPABILITY_NAMES : [];
  const namespaces = ['pid', 'mount', 'uts', 'ipc', 'cgroup'];
  if (sandbox.network === 'none') namespaces.push('network');
  const config = {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid, gid, umask: 0o022, additionalGids: sandbox.canSetGroups ? groups : [] },
      args: sandbox.argv,
      env: Object.entries(environmentOf(sandbox.env)).map(([name, value]) => `${name}=${value}`),
      cwd: sandbox.workdir,
      capabilities: { bounding: CAPABILITY_NAMES, permitted: held, effective: held },
      noNewPrivileges: false,
      rlimits: resourceLimits(sandbox.limits).map(({ name, soft, hard }) => ({
        type: `RLIMIT_${name}`,
        soft: soft ?? INFINITY,
        hard: hard ?? INFINITY,
      })),
    },
    root: { path: sandbox.root },
    hostname: 'lkt',
    mounts: [...kernelMounts(sandbox), ...deviceFiles(sandbox, directory), ...ownMounts(sandbox)],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths: [...MASKED_PATHS, ...thermalThrottles('/sys')],
      readonlyPaths: READ_ONLY_PATHS.filter((path) => existsSync(path)),
      seccomp: seccompProfile(process.arch, CAPABILITIES),
    },
  };
  return JSON.stringify(config).replaceAll(`"${INFINITY}"`, INFINITY);
}

interface RuntimeMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

function kernelMounts({ network, canSetGroups }: Sandbox): readonly RuntimeMount[] {
  const restricted = ['nosuid', 'nodev', 'noexec'];
  // A user namespace that shares the host's network has no sysfs of its own.
  const hasSys = network === 'none' || canSetGroups;
  const pts = ['newinstance', 'ptmxmode=0666', 'mode=0620', 'nosuid', 'noexec'];
  return [
    mount('/proc', 'proc', restricted),
    mount('/dev', 'tmpfs', ['nosuid', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', pts),
    mount('/dev/shm', 'tmpfs', ['nosuid', 'nodev', 'mode=1777', 'size=65536k']),
    mount('/sys', hasSys ? 'sysfs' : 'tmpfs', [...restricted, 'ro']),
  ];
}

function mount(path: string, type: string, options: readonly string[]): RuntimeMount {
  return { destination: path, type, source: type, options };
}

function bind(path: string, source: string, options: readonly string[]): RuntimeMount {
  return { destination: path, type: 'bind', source, options };
}

function deviceFiles({ files }: Sandbox, directory: string): readonly RuntimeMount[] {
  return files.map(({ path, content, mode }, index) => {
    const source = join(directory, `file${index}`);
    writeFileSync(source, content, { mode });
    return bind(path, source, ['bind', 'nodev']);
  });
}

function ownMounts({ mounts }: Sandbox): readonly RuntimeMount[] {
  return mounts.map((own) =>
    own.type === 'tmpfs'
      ? mount(own.target, 'tmpfs', ['nosuid', 'nodev', ...tmpfsOptions(own).split(',')])
      : bind(own.target, own.source, ['rbind', 'nodev', own.readOnly ? 'ro' : 'rw']),
  );
}
