import { posix } from 'node:path';
import type { LktError } from '@lkt/core';
import { fromRaw } from '@lkt/oci';
import type { Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import { withoutDigest } from '../config/reference.ts';
import { isOfExisting } from '../runtime/check-tmpfs.ts';
import { mountsInOrder, type OwnMount } from '../runtime/mounts.ts';
import type { MachineRoot } from './machine-root.ts';
import type { Found, RootFiles } from './root-files.ts';

/**
 * Returns why a runtime cannot make the mounts of a container, if it cannot: below a file of its
 * image there can be no mount point, and only another file can be mounted on a file.
 * @param files of the container, with the mounts that init makes; this adds those of the runtime
 */
export function mountProblem(
  container: Container,
  settings: Settings,
  files: RootFiles,
  machine: MachineRoot,
): LktError | undefined {
  // Other runtimes have other rules.
  const isKnown = (settings.runtimeClass ?? '') === '';
  for (const mount of mountsInOrder(settings, settings.readonly ?? false)) {
    const { destination } = mount;
    // A link decides what is above it.
    if (isKnown && !destination.split('/').includes('..')) {
      const found = files.find(posix.resolve('/', destination));
      const problem = sourceProblem(container, mount, found, machine) ?? targetCause(mount, found);
      if (typeof problem === 'string')
        return errorAt(
          'CONFIG_INVALID',
          mount.at ?? container.at,
          `nothing can be mounted at ${destination}`,
          {
            cause: new Error(`${withoutDigest(container.image)} has ${problem}`),
            fix: 'name a directory; a missing one is created',
          },
        );
      if (problem !== undefined) return problem;
    }
    files.mount(destination);
  }
  return undefined;
}

/** Returns what is in the way of a mount point, if anything. */
function targetCause(mount: OwnMount, found: Found): string | undefined {
  if (found.kind === 'nothing' && found.below !== undefined)
    return `a file at /${fromRaw(found.below)}, above it`;
  if (found.kind !== 'entry' || found.type === 'directory' || isOfExisting(mount)) return undefined;
  return 'a file there, and a file system needs a directory';
}

/** Returns why a path of the machine cannot be bound, if it cannot. */
function sourceProblem(
  container: Container,
  { source = '', destination, at = container.at, ...mount }: OwnMount,
  target: Found,
  machine: MachineRoot,
): LktError | undefined {
  if (
    !isOfExisting(mount) ||
    !source.startsWith('/') ||
    mount.options?.includes('remount') === true
  )
    return undefined;
  if (machine.lacks(source))
    return errorAt('CONFIG_INVALID', at, `the machine has no ${source} to bind`, {
      cause: new Error('its root is read-only, and the images and files of the config lack it'),
      fix: 'correct the path, add it to "files", or use one below /var and "runtime.mkdir"',
    });
  const type = machine.typeOf(source);
  if (type === undefined || target.kind !== 'entry') return undefined;
  const isDirectory = type === 'directory';
  if (isDirectory === (target.type === 'directory')) return undefined;
  const [what, there] = isDirectory ? ['directory', 'file'] : ['file', 'directory'];
  return errorAt('CONFIG_INVALID', at, `${source} cannot be bound to ${destination}`, {
    cause: new Error(`it is a ${what}, and ${withoutDigest(container.image)} has a ${there} there`),
    fix: `bind it to another path, or bind a ${there}`,
  });
}
