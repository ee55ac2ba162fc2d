import { didYouMean } from '@lkt/core';
import type {
  ServiceDependency,
  FailureAction,
  ReadinessCheck,
  RestartPolicy,
  Settings,
} from '@lkt/pkg';
import type { GoValue } from '../go-json.ts';

export type Section = 'onboot' | 'onshutdown' | 'services';

/** Actions of init around a container, where they differ from LinuxKit's. */
export interface Supervision {
  readonly restart?: Exclude<RestartPolicy, 'never'>;
  readonly after?: readonly ServiceDependency[];
  readonly ready?: ReadinessCheck;
  readonly onfailure?: Exclude<FailureAction, 'continue'>;
  readonly timeout?: number;
}

/** Sections in which each field has an effect. */
export const SUPERVISION: Readonly<Record<keyof Supervision, readonly Section[]>> = {
  restart: ['services'],
  after: ['services'],
  ready: ['services'],
  onfailure: ['onboot', 'onshutdown'],
  timeout: ['onboot', 'onshutdown'],
};

/**
 * Returns the supervision of a container; ignores fields of its label that belong to other
 * sections.
 */
export function supervisionOf(
  { restart = 'never', after = [], ready, onfailure = 'continue', timeout }: Settings,
  section: Section,
): Supervision {
  if (section !== 'services')
    return { onfailure: onfailure === 'continue' ? undefined : onfailure, timeout };
  return {
    restart: restart === 'never' ? undefined : restart,
    after: after.length === 0 ? undefined : after,
    ready,
  };
}

/** Formats the fields of `runtime.json` after LinuxKit's: docs/guest.md. */
export function supervisionJson({ restart, after, ready, onfailure, timeout }: Supervision): {
  readonly [key: string]: GoValue | undefined;
} {
  return {
    restart,
    after: after?.map(({ name }) => name),
    ready: ready === undefined ? undefined : { ...ready },
    onfailure,
    timeout,
  };
}

/**
 * Checks that every service can start: its dependencies exist and have no cycle.
 * @throws LktError CONFIG_INVALID at the name in `after`
 */
export function checkOrder(after: ReadonlyMap<string, readonly ServiceDependency[]>): void {
  for (const [service, names] of after) {
    for (const { name, at } of names) {
      if (after.has(name)) continue;
      throw at.error(`${service} starts after "${name}", which does not exist`, {
        fix: didYouMean(name, after.keys(), 'name an entry of services'),
      });
    }
  }
  const checked = new Set<string>();
  for (const first of after.keys()) {
    const path = [first];
    for (let service = path.at(-1); service !== undefined; service = path.at(-1)) {
      const next = after.get(service)?.find(({ name }) => !checked.has(name));
      if (next === undefined) {
        checked.add(service);
        path.pop();
      } else if (path.includes(next.name)) {
        const circle = [...path.slice(path.indexOf(next.name)), next.name].join(' after ');
        throw next.at.error(`services wait for each other: ${circle}`);
      } else {
        path.push(next.name);
      }
    }
  }
}
