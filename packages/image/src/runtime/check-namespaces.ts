import type { LktError } from '@lkt/core';
import type { Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { settingError } from './check-settings.ts';
import type { Section } from './supervision.ts';

interface Started {
  readonly container: Container;
  readonly section: Section;
  readonly settings: Settings;
}

const FIELDS = ['ipc', 'net', 'pid', 'userns', 'uts'] as const;

const ORDER: readonly Section[] = ['onboot', 'services', 'onshutdown'];

/**
 * Returns the error for a container in a namespace that only itself or later ones bind to its path,
 * if there is one.
 * @param all in the order of their sections
 */
export function namespaceProblem(all: readonly Started[]): LktError | undefined {
  for (const user of all)
    for (const field of FIELDS) {
      const path = user.settings[field];
      if (path?.startsWith('/') !== true) continue;
      const binders = all.filter(({ settings }) =>
        Object.values(settings.runtime?.bindNS ?? {}).includes(path),
      );
      const [first] = binders;
      if (first === undefined || !binders.every((one) => isNotBefore(one, user, all))) continue;
      return settingError(user.container, [[field]], `nothing is at ${path} yet`, {
        cause: `${first === user ? 'only the container itself' : `the container ${first.container.name}, which starts later,`} binds its namespace there`,
        fix: `bind it in an onboot container before this one, or use "${field}: new"`,
      });
    }
  return undefined;
}

/** Reports whether a container certainly does not start before another. */
function isNotBefore(one: Started, other: Started, all: readonly Started[]): boolean {
  if (one === other) return true;
  const [rank, otherRank] = [one, other].map(({ section }) => ORDER.indexOf(section));
  if (rank !== otherRank) return (rank ?? 0) > (otherRank ?? 0);
  // Services start side by side, and again after a failure.
  return one.section !== 'services' && all.indexOf(one) > all.indexOf(other);
}
