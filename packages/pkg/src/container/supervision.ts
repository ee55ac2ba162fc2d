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

/** What init does when a service ends. */
export type Restart = 'never' | 'on-failure' | 'always';

/** What init does when an onboot or onshutdown container fails. */
export type OnFailure = 'continue' | 'poweroff' | 'reboot';

/** How init learns that a service is ready: one of `socket`, `exec` and `log` is there. */
export interface Ready {
  /** A path in the root; ready is when a Unix socket there takes connections. */
  readonly socket?: string;
  /** A command in the container; ready is when it ends with 0. */
  readonly exec?: readonly string[];
  /** A text; ready is when the service has written a line with it. */
  readonly log?: string;
  /** Seconds after which it has failed. */
  readonly timeout: number;
}

/** The name of another service that is there first. */
export interface After {
  readonly name: string;
  readonly at: YamlValue;
}

export const RESTART: YamlType<Restart> = choice('never', 'on-failure', 'always');

export const ON_FAILURE: YamlType<OnFailure> = choice('continue', 'poweroff', 'reboot');

export const AFTER: YamlType<readonly After[]> = list(
  text().transform((name, at) => ({ name, at })),
);

const ABSOLUTE = text({
  matches: /^\/[^\0]+$/,
  problem: (path) => `"${path}" is not an absolute path`,
});
const LINE = text({
  matches: /^[^\n\0]+$/,
  problem: () => 'expected some text of one line',
});

export const READY: YamlType<Ready> = record({
  socket: optional(ABSOLUTE, 'a path in the root: when a Unix socket there takes connections'),
  exec: optional(
    list(text(), { isFilled: true }),
    'a command in the container: when it ends with 0',
  ),
  log: optional(LINE, 'a text: when the service has written a line with it'),
  timeout: withDefault(integer(1, 3600), 60, 'seconds after which the service has failed'),
}).transform((ready, value) => {
  const ways = [ready.socket, ready.exec, ready.log].filter((way) => way !== undefined);
  if (ways.length === 1) return ready;
  throw value.error(
    ways.length === 0 ? 'it is not said how it shows' : 'it shows in one way, and more are given',
    { fix: 'give one of: socket, exec, log' },
  );
});
