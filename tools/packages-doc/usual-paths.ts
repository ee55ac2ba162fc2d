/** The paths that `build.yml` of most packages masks in `/proc` and `/sys`. */
export const USUAL_MASKED: readonly string[] = [
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/firmware',
];

/** The paths that `build.yml` of most packages makes read-only. */
export const USUAL_READONLY: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
