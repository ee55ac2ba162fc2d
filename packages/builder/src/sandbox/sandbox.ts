import { existsSync, readdirSync } from 'node:fs';
import type { User } from '../copy/owners.ts';

/** The description of a sandbox, which the init gets as JSON: everything that the command sees. */
export interface Sandbox {
  /**
   * Mounted root file system. Mount points exist, except `missing` ones; no part of a target is a
   * link.
   */
  readonly root: string;
  readonly mounts: readonly SandboxMount[];
  /** Files in the new /dev, for the duration of the command. */
  readonly files: readonly {
    readonly path: string;
    readonly content: string;
    readonly mode: number;
  }[];
  readonly network: 'none' | 'host';
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user: User;
  /** Files of control groups: a process joins one by writing 0. */
  readonly groups: readonly string[];
  /** Limits that no control group enforces. */
  readonly limits: SandboxLimits;
  /** The filter of `seccompFilter`, in base64. */
  readonly filter?: string;
  /** Whether setgroups(2) is allowed: not in a user namespace with one user. */
  readonly canSetGroups: boolean;
}

export interface SandboxLimits {
  /** Maximum pid in the pid namespace; needs Linux 6.14, where it is not the whole machine's. */
  readonly pidMax?: number;
  /** Processes and threads of the user in this user namespace; ignored for root of the host. */
  readonly processes?: number;
  /** Bytes of data of each process. */
  readonly data?: number;
}

/** Docker's default capabilities: CHOWN … SETFCAP of capabilities(7). */
export const CAPABILITIES: readonly number[] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/** A mount. `missing`: the kind of mount point that the init makes, inside an earlier mount. */
export type SandboxMount = { readonly missing?: 'file' | 'directory' } & (
  | {
      readonly type: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
    }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      readonly mode: number;
      readonly size?: number;
    }
);

/** Returns the options of a tmpfs for mount(2). */
export function tmpfsOptions({ mode, size }: SandboxMount & { readonly type: 'tmpfs' }): string {
  return `mode=${mode.toString(8)}${size === undefined ? '' : `,size=${size}`}`;
}

/** Returns variables of the form `NAME=value` as an object. */
export function environmentOf(variables: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    variables.map((variable) => {
      const at = variable.indexOf('=');
      return [variable.slice(0, at), variable.slice(at + 1)];
    }),
  );
}

/** The descriptor on which the init reads its sandbox. */
export const DESCRIPTION = 4;

/** The message of the init on descriptor 3, as JSON, if it fails before the command. */
export interface SandboxFailure {
  /**
   * `host`: the machine forbids it. `user`: the Dockerfile is wrong. `id`: the user is not mapped.
   */
  readonly kind: 'host' | 'user' | 'id' | 'crash';
  readonly message: string;
}

/** Statuses for a command that cannot be started, as in a shell. */
export const NOT_FOUND = 127;
export const NOT_EXECUTABLE = 126;

/**
 * Paths that Docker hides, because they reveal too much about the machine or allow access to it.
 */
export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

export const READ_ONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/** The names in the new /dev that no mount may replace. One at /dev/shm may. */
export const DEVICE_NAMES: readonly string[] =
  'null zero full random urandom tty console pts ptmx mqueue pipes fd stdin stdout stderr'.split(
    ' ',
  );

/** Returns a file per processor that identifies other programs; Docker masks them since 28. */
export function thermalThrottles(sys: string): readonly string[] {
  const cpus = '/devices/system/cpu';
  const names = existsSync(sys + cpus) ? readdirSync(sys + cpus) : [];
  return names
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `/sys${cpus}/${name}/thermal_throttle`);
}
