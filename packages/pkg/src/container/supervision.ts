import {
  choice,
  integer,
  list,
  optional,
  withDefault,
  record,
  text,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { ABSOLUTE_PATH, ARGUMENT } from './texts.ts';

/** Whether init restarts a service that ends. */
export type RestartPolicy = 'never' | 'on-failure' | 'always';

/** The action of init when an onboot or onshutdown container fails. */
export type FailureAction = 'continue' | 'poweroff' | 'reboot';

/** The readiness check of a service. Exactly one of `socket`, `exec` and `log` is set. */
export interface ReadinessCheck {
  /**
   * Path in the root file system. The service is ready when a Unix socket there accepts
   * connections.
   */
  readonly socket?: string;
  /** Command to run in the container. The service is ready when it exits with 0. */
  readonly exec?: readonly string[];
  /** Text to look for. The service is ready when it has written a line with this text. */
  readonly log?: string;
  /** Seconds after which the service has failed. */
  readonly timeout: number;
}

/** The name of a service that must be ready first. */
export interface ServiceDependency {
  readonly name: string;
  readonly at: YamlValue;
}

export const RESTART_POLICY: YamlType<RestartPolicy> = choice('never', 'on-failure', 'always');

export const FAILURE_ACTION: YamlType<FailureAction> = choice('continue', 'poweroff', 'reboot');

export const SERVICE_DEPENDENCIES: YamlType<readonly ServiceDependency[]> = list(
  text().transform((name, at) => ({ name, at })),
);

const LINE = text({
  matches: /^[^\n\0]+$/,
  problem: () => 'expected a single line of text',
});

export const READINESS_CHECK: YamlType<ReadinessCheck> = record({
  socket: optional(
    ABSOLUTE_PATH,
    'path of a Unix socket in the root file system that must accept connections',
  ),
  exec: optional(
    list(ARGUMENT, { isFilled: true }),
    'command in the container that must exit with 0',
  ),
  log: optional(LINE, 'text that must occur in a line of output'),
  timeout: withDefault(integer(1, 3600), 60, 'seconds after which the service has failed'),
}).transform((ready, value) => {
  const ways = [ready.socket, ready.exec, ready.log].filter((way) => way !== undefined);
  if (ways.length === 1) return ready;
  throw value.error(
    ways.length === 0
      ? '"socket", "exec" or "log" is missing'
      : '"socket", "exec" and "log" exclude each other',
    { fix: 'use one of: socket, exec, log' },
  );
});
