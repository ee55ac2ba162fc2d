import type { LktError } from '@lkt/core';
import { checkSettings } from '../runtime/check-settings.ts';
import { mountPoints } from '../runtime/mounts.ts';
import { programProblem } from './check-program.ts';
import type { PlacedContainer } from './containers.ts';
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
  for (const one of containers) {
    warnings.push(...checkSettings(one.container, one.settings));
    const problem = isMounted ? undefined : fileProblem(one, root);
    if (problem === undefined) continue;
    if (isSealed) throw problem;
    warnings.push(problem.message);
  }
  return warnings;
}

function fileProblem(
  { container, settings, rootfs }: PlacedContainer,
  { entries }: Root,
): LktError | undefined {
  const files = new RootFiles(entries, rootfs);
  for (const path of mountPoints(settings)) files.mount(path);
  return programProblem(container, settings, files);
}
