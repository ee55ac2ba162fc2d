import { integer, optional, record, text, withDefault, type YamlType } from '@lkt/core';
import { duration, endpoint, port } from './values.ts';

const BOOT_COMPLETE = 'lkt: boot complete';

/** The check that a healthy node passes. */
export type HealthCheck =
  | { readonly kind: 'tcp'; readonly port: number }
  | { readonly kind: 'http'; readonly port: number; readonly path: string }
  | {
      readonly kind: 'console';
      readonly text: string;
      /** Makes the node unhealthy until `text` follows. */
      readonly unhealthy?: string;
    };

/** A health check with its limits. */
export interface HealthSettings {
  readonly check: HealthCheck;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failed checks in a row that make a healthy node unhealthy. */
  readonly failures: number;
}

/** The check of a group that has none. */
export const DEFAULT_HEALTH: HealthSettings = {
  check: { kind: 'console', text: BOOT_COMPLETE },
  intervalMs: 5000,
  timeoutMs: 3000,
  failures: 3,
};

const CONSOLE_TEXT = text({
  matches: /[^]/,
  problem: () => 'the text is empty, so every console has it',
  fix: 'write a text that the guest prints',
});

/** `groups.NAME.health`. */
export const HEALTH: YamlType<HealthSettings> = record({
  tcp: optional(port, 'a port of the guest that accepts connections'),
  http: optional(endpoint, 'a page that answers with status 200 to 399: ":8080/healthz"'),
  console: optional(CONSOLE_TEXT, 'a text on the serial console; default: "lkt: boot complete"'),
  unhealthy: optional(
    CONSOLE_TEXT,
    'a text on the serial console that makes the node unhealthy until that of "console" follows',
  ),
  interval: withDefault(
    duration,
    DEFAULT_HEALTH.intervalMs,
    'time between checks of a healthy node; others are checked all the time',
  ),
  timeout: withDefault(duration, DEFAULT_HEALTH.timeoutMs, 'time for the answer'),
  failures: withDefault(
    integer(1, 100),
    DEFAULT_HEALTH.failures,
    'failed checks in a row after which it is unhealthy',
  ),
}).transform(({ tcp, http, console, unhealthy, interval, timeout, failures }, at) => {
  const kinds = [tcp, http, console].filter((kind) => kind !== undefined);
  if (kinds.length > 1)
    throw at.error('tcp, http and console exclude each other', { fix: 'keep one of them' });
  if (unhealthy !== undefined && console === undefined)
    throw at.error('"unhealthy" needs the text after which the node is healthy again', {
      fix: 'add: console: TEXT',
    });
  const check: HealthCheck =
    tcp !== undefined
      ? { kind: 'tcp', port: tcp }
      : http !== undefined
        ? { kind: 'http', ...http }
        : {
            kind: 'console',
            text: console ?? BOOT_COMPLETE,
            ...(unhealthy === undefined ? {} : { unhealthy }),
          };
  return { check, intervalMs: interval, timeoutMs: timeout, failures };
});
