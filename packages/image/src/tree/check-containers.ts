import type { LktError } from '@lkt/core';
import { checkSettings } from '../runtime/check-settings.ts';
import { namespaceProblem } from '../runtime/check-namespaces.ts';
import { initMountPoints } from '../runtime/mounts.ts';
import { mountProblem } from './check-mounts.ts';
import { programProblem } from './check-program.ts';
import type { PlacedContainer } from './containers.ts';
import { MachineRoot } from './machine-root.ts';
import type { Root } from './merge.ts';
import { RootFiles } from './root-files.ts';

/** The composed files, and the containers in them. */
interface Composed {
  readonly root: Root;
  readonly containers: readonly PlacedContainer[];
  /** Before a container starts, nothing changes the files of its image. */
  readonly isSealed: boolean;
}

/**
 * Checks that every container can start, by its merged settings and the files of its image. What
 * the guest may still change is only a warning.
 * @returns the warnings, also about settings without effect
 * @throws LktError CONFIG_INVALID
 */
export function checkContainers({ root, containers, isSealed }: Composed): readonly string[] {
  const warnings: string[] = [];
  // A mount of init may complete the root of another container.
  const isMounted = containers.some(({ settings }) =>
    (settings.runtime?.mounts ?? []).some(({ destination }) =>
      destination.startsWith('/containers'),
    ),
  );
  const machine = new MachineRoot(root, containers, isSealed);
  for (const one of containers) {
    const { container, settings } = one;
    warnings.push(...checkSettings(container, settings));
    const directory = machine.directoryProblem(container, settings);
    if (directory !== undefined) throw directory;
    if (isMounted) continue;
    const files = new RootFiles(root.entries, one.rootfs);
    const problem = fileProblem(one, files, machine);
    if (problem !== undefined && isSealed) throw problem;
    const ready = problem === undefined ? readyProblem(one, files) : undefined;
    // A service may write the program of its check.
    if (ready !== undefined && isSealed && settings.readonly === true) throw ready;
    const found = problem ?? ready;
    if (found !== undefined) warnings.push(found.message);
  }
  const namespace = machine.mayMount ? undefined : namespaceProblem(containers);
  if (namespace !== undefined) throw namespace;
  return warnings;
}

function fileProblem(
  { container, settings }: PlacedContainer,
  files: RootFiles,
  machine: MachineRoot,
): LktError | undefined {
  for (const path of initMountPoints(settings)) files.mount(path);
  return (
    mountProblem(container, settings, files, machine) ??
    programProblem(container, settings, files, {
      command: settings.command ?? [],
      field: ['command'],
      what: '',
    })
  );
}

/** Returns why the readiness check of a service cannot run, if it cannot. */
function readyProblem(
  { container, section, settings }: PlacedContainer,
  files: RootFiles,
): LktError | undefined {
  const command = settings.ready?.exec;
  if (section !== 'services' || command === undefined) return undefined;
  const field = ['ready', 'exec'];
  return programProblem(container, settings, files, {
    command,
    field,
    what: 'the readiness check cannot run: ',
  });
}
