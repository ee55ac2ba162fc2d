import type { LktError, YamlValue } from '@lkt/core';
import type { Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import { withoutDigest } from '../config/reference.ts';
import { tmpfsProblem } from './check-tmpfs.ts';

/** Parameters of an IPC namespace that runc and crun know. */
const IPC_PARAMETERS: ReadonlySet<string> = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

/**
 * Checks the merged settings of a container for what runc and crun refuse. Each part may be valid:
 * `hostname` in the image's label, and `uts: host` in the config.
 * @returns warnings about settings without effect
 * @throws LktError CONFIG_INVALID at the field of the config, or at the container if its label has
 * it
 */
export function checkSettings(container: Container, settings: Settings): readonly string[] {
  if ((settings.command ?? []).length === 0)
    throw errorAt(
      'CONFIG_INVALID',
      valueAt(container.item, ['command']) ?? container.at,
      'the container has no command',
      {
        cause: new Error(
          `neither the config nor ${withoutDigest(container.image)} names a program`,
        ),
        fix: 'set "command", or CMD in the Dockerfile of the image',
      },
    );
  // Other runtimes have other rules.
  if ((settings.runtimeClass ?? '') !== '') return [];
  checkHostname(container, settings);
  checkParameters(container, settings);
  const problem = tmpfsProblem(settings);
  if (problem !== undefined) throw problem;
  return checkUsers(container, settings);
}

/** Reports whether the setting of a namespace stands for the machine's. */
function isHost(namespace: string | undefined): boolean {
  return namespace === undefined || namespace === 'host' || namespace === 'root';
}

function checkHostname(container: Container, { hostname = '', uts }: Settings): void {
  if (hostname === '' || !isHost(uts)) return;
  throw settingError(
    container,
    [['hostname'], ['uts']],
    `the host name ${hostname} would be the machine's`,
    {
      cause: 'the container has the UTS namespace of the machine, whose name runc does not change',
      fix: 'set "uts: new", or "hostname" of the machine in /etc/hostname',
    },
  );
}

function checkParameters(container: Container, { sysctl = {}, net, ipc, uts }: Settings): void {
  for (const given of Object.keys(sysctl)) {
    const name = dotted(given);
    const fail = (cause: string, fix: string): LktError =>
      settingError(container, [['sysctl', given]], `runc does not set ${given}`, { cause, fix });
    const elsewhere = 'remove it, or set it for the machine in /etc/sysctl.d';
    if (name.startsWith('net.')) {
      if (isHost(net))
        throw fail(
          'it belongs to the network namespace, and the container has that of the machine',
          'set "net: new", or set it for the machine in /etc/sysctl.d',
        );
    } else if (IPC_PARAMETERS.has(name) || name.startsWith('fs.mqueue.')) {
      // By default lkt/init adds an IPC namespace.
      if (ipc !== undefined && isHost(ipc))
        throw fail(
          'it belongs to the IPC namespace, and the container has that of the machine',
          'set "ipc: new", or set it for the machine in /etc/sysctl.d',
        );
    } else if (name === 'kernel.hostname') {
      throw fail('the field "hostname" does', 'use "hostname"');
    } else if (name === 'kernel.domainname') {
      if (isHost(uts))
        throw fail(
          'it belongs to the UTS namespace, and the container has that of the machine',
          'set "uts: new", or set it for the machine in /etc/sysctl.d',
        );
    } else {
      throw fail('it belongs to no namespace of a container, but to the machine', elsewhere);
    }
  }
}

/** Returns the name of a kernel parameter with dots, as runc compares it. */
function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  if (first !== '/') return name;
  return name.replaceAll(/[./]/g, (separator) => (separator === '/' ? '.' : '/'));
}

function checkUsers(container: Container, settings: Settings): readonly string[] {
  const { userns, uidMappings = [], gidMappings = [] } = settings;
  const empty = [
    ...(uidMappings.length === 0 ? ['uidMappings'] : []),
    ...(gidMappings.length === 0 ? ['gidMappings'] : []),
  ];
  if (userns === 'new' && empty.length > 0)
    throw settingError(
      container,
      [['userns'], ...empty.map((field) => [field])],
      `the user namespace has no ${empty.join(' and ')}`,
      {
        cause: 'without them its processes would have no ids, and runc does not start it',
        fix: `set ${empty.map((field) => `"${field}"`).join(' and ')}`,
      },
    );
  if (!isHost(userns) || empty.length === 2) return [];
  return [
    settingError(
      container,
      [['uidMappings'], ['gidMappings']],
      'the mapping has no effect without "userns: new"',
    ).message,
  ];
}

/**
 * Returns an error at the first of some fields that the config sets, or at the container if its
 * label has them.
 * @param fields paths of keys below the container
 */
export function settingError(
  container: Container,
  fields: readonly (readonly string[])[],
  message: string,
  { cause, fix }: { readonly cause?: string; readonly fix?: string } = {},
): LktError {
  const { item, at } = container;
  const value = fields.map((path) => valueAt(item, path)).find((found) => found !== undefined);
  const where = value === undefined ? ` (from ${withoutDigest(container.image)})` : '';
  return errorAt('CONFIG_INVALID', value ?? at, `${message}${where}`, {
    fix,
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  });
}

function valueAt(item: YamlValue, path: readonly string[]): YamlValue | undefined {
  let value: YamlValue | undefined = item;
  for (const key of path) value = value?.isMap() === true ? value.entries().get(key) : undefined;
  return value;
}
