import { existsSync, readdirSync } from 'node:fs';

/**
 * What the init of a RUN is told, as JSON: everything the command gets to see.
 */
export interface Sandbox {
  /** Mounted root file system. All mount points exist but those that say so, and no part of a target is a link. */
  readonly root: string;
  readonly mounts: readonly SandboxMount[];
  /** Files in the fresh /dev, for the time of the command. */
  readonly files: readonly {
    readonly path: string;
    readonly content: string;
    readonly mode: number;
  }[];
  readonly network: 'none' | 'host';
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly workdir: string;
  /** As in USER. */
  readonly user: string;
  /** Files of control groups: who writes 0 into one is in it. */
  readonly groups: readonly string[];
  /** What takes the place of control groups where there are none. */
  readonly limits: SandboxLimits;
  /** The filter of its system calls, as `seccompFilter` gives it, in base64. */
  readonly filter?: string;
  /** Whether setgroups(2) may be used: not in a user namespace with one user. */
  readonly canSetGroups: boolean;
}

export interface SandboxLimits {
  /** Processes and threads in the pid namespace; needs Linux 6.14, where the number is not the whole machine's. */
  readonly pidMax?: number;
  /** Processes and threads of the user in this user namespace; root of the machine is above it. */
  readonly processes?: number;
  /** Bytes of data of each process. */
  readonly data?: number;
}

/** The capabilities Docker gives: CHOWN … SETFCAP of capabilities(7). */
export const CAPABILITIES: readonly number[] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/** Mounts are in the order in which they are made. `missing`: the mount point is to be made, in a mount before it. */
export type SandboxMount = { readonly missing?: 'file' | 'directory' } & (
  | {
      readonly type: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
    }
  | { readonly type: 'tmpfs'; readonly target: string; readonly options: string }
);

/** The descriptor on which the init is told. */
export const DESCRIPTION = 4;

/** What the init says on descriptor 3, as JSON, when it does not get as far as the command. */
export interface SandboxFailure {
  /** `host`: this machine forbids it. `user`: the Dockerfile asks for what is not there. `id`: a user does not exist. */
  readonly kind: 'host' | 'user' | 'id' | 'crash';
  readonly message: string;
}

/** The status of a command that cannot be started, as in a shell. */
export const NOT_FOUND = 127;
export const NOT_EXECUTABLE = 126;

/** What Docker hides, as it says too much about the machine or leads to it. */
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

/** A count for each processor, from which other programs can be told apart; Docker masks them since 28. */
export function thermalThrottles(sys: string): readonly string[] {
  const cpus = '/devices/system/cpu';
  const names = existsSync(sys + cpus) ? readdirSync(sys + cpus) : [];
  return names
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `/sys${cpus}/${name}/thermal_throttle`);
}
