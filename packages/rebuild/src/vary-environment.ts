import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { findOnPath, type BuildEnvironment } from '@lkt/builder';

/** BuildEnvironment as different as the machine allows, and what could not be changed. */
export interface VariedEnvironment {
  readonly environment: BuildEnvironment;
  readonly notes: readonly string[];
}

/** The part of the free memory that layers may take. */
const SHARE_OF_MEMORY = 0.6;

/**
 * @param index of several that are used at once, from 0: each has a processor of its own
 * @param count how many there are
 */
export function varyEnvironment(index: number, count: number): VariedEnvironment {
  const notes: string[] = [];
  const cpu = otherCpu(index);
  if (cpu === undefined)
    notes.push('the number of processors is the same: there is one, or no taskset');
  const fixedAddresses = works('setarch', ['--addr-no-randomize', 'true']);
  if (!fixedAddresses) notes.push('addresses of memory are random in both builds');
  const isRoot = process.geteuid?.() === 0;
  const userNamespace =
    isRoot && works('unshare', ['--user', '--map-users=0:0:4294967295', 'true']);
  if (!userNamespace) notes.push('both builds are by one user');
  return {
    environment: {
      hostname: 'elsewhere',
      umask: 0o077,
      cpu,
      fixedAddresses,
      userNamespace,
      memory: Math.floor(memoryForLayers() / count),
      env: {
        HOME: '/nonexistent',
        LANG: 'tr_TR.UTF-8',
        LC_ALL: 'tr_TR.UTF-8',
        TZ: 'Asia/Kathmandu',
      },
    },
    notes,
  };
}

/** One of several processors that this process may use, the last ones first. */
function otherCpu(index: number): number | undefined {
  if (availableParallelism() < 2 || findOnPath('taskset') === undefined) return undefined;
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status'))?.[1];
  const allowed = (list ?? '').split(',').flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
  });
  return allowed.at(-1 - (index % allowed.length));
}

/** Bytes of memory that all layers of second builds may take. */
export function memoryForLayers(): number {
  const kibibytes = /^MemAvailable:\s*(\d+) kB/m.exec(read('/proc/meminfo'))?.[1];
  return Math.floor(Number(kibibytes ?? 0) * 1024 * SHARE_OF_MEMORY);
}

function works(program: string, args: readonly string[]): boolean {
  const path = findOnPath(program);
  if (path === undefined) return false;
  try {
    execFileSync(path, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
