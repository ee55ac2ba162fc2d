import { nearest } from '@lkt/core';
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
}

/** Sections in which each field has an effect. */
export const SUPERVISION: Readonly<Record<keyof Supervision, readonly Section[]>> = {
  restart: ['services'],
  after: ['services'],
  ready: ['services'],
  onfailure: ['onboot', 'onshutdown'],
};

/**
 * Returns the supervision of a container; ignores fields of its label that belong to other
 * sections.
 */
export function supervisionOf(
  { restart = 'never', after = [], ready, onfailure = 'continue' }: Settings,
  section: Section,
): Supervision {
  if (section !== 'services') return onfailure === 'continue' ? {} : { onfailure };
  return {
    restart: restart === 'never' ? undefined : restart,
    after: after.length === 0 ? undefined : after,
    ready,
  };
}

/** Formats the fields of `runtime.json` after LinuxKit's: docs/guest.md. */
export function supervisionJson({ restart, after, ready, onfailure }: Supervision): {
  readonly [key: string]: GoValue | undefined;
} {
  return {
    restart,
    after: after?.map(({ name }) => name),
    ready: ready === undefined ? undefined : { ...ready },
    onfailure,
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
      const near = nearest(name, [...after.keys()]);
      throw at.error(`${service} starts after "${name}", which does not exist`, {
        fix: near === undefined ? 'name an entry of services' : `did you mean "${near}"?`,
      });
    }
  }
  const waiting = withoutStarting(after);
  const [first] = waiting.keys();
  if (first === undefined) return;
  // Each waiting service waits for another one, so following them finds the cycle.
  const way = new Map<string, ServiceDependency>();
  for (let service = first; ;) {
    const next = waiting.get(service)?.find(({ name }) => waiting.has(name));
    if (next === undefined) throw new Error(`${service} waits for no waiting service`);
    way.set(service, next);
    if (way.has(next.name)) {
      const names = [...way.keys()];
      const circle = [...names.slice(names.indexOf(next.name)), next.name].join(' after ');
      throw next.at.error(`services wait for each other: ${circle}`);
    }
    service = next.name;
  }
}

/** Returns the services that are left when every service that can start has started. */
function withoutStarting(
  after: ReadonlyMap<string, readonly ServiceDependency[]>,
): ReadonlyMap<string, readonly ServiceDependency[]> {
  const waiting = new Map(after);
  const followers = new Map<string, string[]>();
  const missing = new Map<string, number>();
  for (const [service, names] of after) {
    missing.set(service, names.length);
    for (const { name } of names) {
      const list = followers.get(name);
      if (list === undefined) followers.set(name, [service]);
      else list.push(service);
    }
  }
  const ready = [...after.keys()].filter((service) => missing.get(service) === 0);
  for (let service = ready.pop(); service !== undefined; service = ready.pop()) {
    waiting.delete(service);
    for (const follower of followers.get(service) ?? []) {
      const left = (missing.get(follower) ?? 0) - 1;
      missing.set(follower, left);
      if (left === 0) ready.push(follower);
    }
  }
  return waiting;
}
