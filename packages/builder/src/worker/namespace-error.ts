import { readFileSync } from 'node:fs';
import { LktError } from '@lkt/core';
import { ALLOW_IN_CONTAINER } from '../system/container-fix.ts';

/**
 * Returns the error for a machine that forbids the namespaces of a worker; undefined if the message
 * of its programs, `said`, has another reason.
 */
export function namespaceError(uid: number, said: string): LktError | undefined {
  if (/^new[ug]idmap:/.test(said)) {
    return new LktError(
      'HOST_UNSUPPORTED',
      'the ids of /etc/subuid and /etc/subgid cannot be mapped',
      {
        fix: 'make newuidmap and newgidmap setuid root, on a file system without nosuid; or remove your ranges, to build with one id',
        detail: said,
      },
    );
  }
  if (!said.startsWith('unshare:')) return undefined;
  const setting = settingToChange();
  if (uid === 0) {
    // Since Linux 5.12, only a process with CAP_SETFCAP may map its own root.
    const isMapping = said.includes('uid_map');
    return new LktError(
      'HOST_UNSUPPORTED',
      isMapping
        ? 'root lacks the capabilities to build here, and to make a user namespace'
        : 'root lacks the capabilities to build here, and user namespaces are forbidden',
      {
        fix: isMapping
          ? 'in a container, add SETFCAP, SETGID and SETUID (Docker: --cap-add); or build as another user'
          : (setting ?? ALLOW_IN_CONTAINER),
        detail: said,
      },
    );
  }
  return new LktError(
    'HOST_UNSUPPORTED',
    'user namespaces are forbidden here, and a build without root needs one',
    { fix: `${setting ?? ALLOW_IN_CONTAINER}; or build as root`, detail: said },
  );
}

/** The settings that forbid user namespaces: Debian's and upstream's, a count, Ubuntu's. */
const SETTINGS = [
  { path: 'kernel/unprivileged_userns_clone', forbids: '0', allow: '1' },
  { path: 'user/max_user_namespaces', forbids: '0', allow: '15000' },
  { path: 'kernel/apparmor_restrict_unprivileged_userns', forbids: '1', allow: '0' },
] as const;

function settingToChange(): string | undefined {
  const found = SETTINGS.find(({ path, forbids }) => read(`/proc/sys/${path}`).trim() === forbids);
  if (found === undefined) return undefined;
  return `allow them as root with: sysctl -w ${found.path.replace('/', '.')}=${found.allow}`;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
