import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CAPABILITY_NAMES } from './command-user.ts';
import {
  environmentOf,
  MASKED_PATHS,
  READ_ONLY_PATHS,
  type Sandbox,
  thermalThrottles,
} from '../sandbox/sandbox.ts';

/**
 * Returns options for bwrap(1), with the seccomp filter as descriptor 5. bwrap cannot mount sysfs:
 * /sys holds only the processors.
 */
export function bubblewrapArguments(sandbox: Sandbox, directory: string): readonly string[] {
  const { root, mounts, files, network, workdir, filter } = sandbox;
  const cpus = '/sys/devices/system/cpu';
  const words = [
    '--unshare-pid',
    '--as-pid-1',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-cgroup-try',
    '--hostname',
    'lkt',
    '--die-with-parent',
    '--new-session',
    '--cap-drop',
    'ALL',
    ...CAPABILITY_NAMES.flatMap((name) => ['--cap-add', name]),
    ...(network === 'none' ? ['--unshare-net'] : []),
    '--bind',
    root,
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--perms',
    '1777',
    '--tmpfs',
    '/dev/shm',
    '--tmpfs',
    '/sys',
    '--ro-bind-try',
    cpus,
    cpus,
  ];
  for (const [index, { path, content, mode }] of files.entries()) {
    const file = join(directory, `file${index}`);
    writeFileSync(file, content, { mode });
    words.push('--bind', file, path);
  }
  for (const path of [...MASKED_PATHS, ...thermalThrottles('/sys')]) {
    if (!existsSync(path) || (path.startsWith('/sys') && !path.startsWith(cpus))) continue;
    if (statSync(path).isDirectory()) words.push('--tmpfs', path, '--remount-ro', path);
    else words.push('--ro-bind', '/dev/null', path);
  }
  for (const path of READ_ONLY_PATHS) if (existsSync(path)) words.push('--ro-bind', path, path);
  words.push('--remount-ro', '/sys');
  for (const mount of mounts) {
    const { target } = mount;
    if (mount.type === 'bind') {
      words.push(mount.readOnly ? '--ro-bind' : '--bind', mount.source, target);
      continue;
    }
    const { mode, size } = mount;
    words.push('--perms', mode.toString(8));
    if (size !== undefined) words.push('--size', String(size));
    words.push('--tmpfs', target);
  }
  words.push('--clearenv');
  for (const [name, value] of Object.entries(environmentOf(sandbox.env)))
    words.push('--setenv', name, value);
  if (filter !== undefined) words.push('--seccomp', '5');
  return [...words, '--chdir', workdir];
}
