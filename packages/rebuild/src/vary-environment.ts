import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { allowedProcessors, type BuildEnvironment, findOnPath, isRootOfHost } from '@lkt/builder';

/** An environment as different as the machine allows, and the parts that could not be varied. */
export interface VariedEnvironment {
  readonly environment: BuildEnvironment;
  readonly notes: readonly string[];
}

/** The share of the free memory that layers may use. */
const MEMORY_SHARE = 0.6;

/**
 * Returns a varied environment for one of several workers.
 * @param index the number of the worker, from 0; each has a processor of its own
 * @param count the number of workers, which share the memory
 */
export function varyEnvironment(index: number, count: number): VariedEnvironment {
  const notes: string[] = [];
  const cpu = otherCpu(index);
  if (cpu === undefined)
    notes.push('the number of processors is not varied: there is only one, or no taskset');
  const fixedAddresses = works('setarch', ['--addr-no-randomize', 'true']);
  if (!fixedAddresses) notes.push('memory addresses are not varied: setarch does not work');
  const userNamespace =
    isRootOfHost(process.geteuid?.() ?? 0) &&
    // unshare waits for ever if it has ids to map and may not make the namespace.
    works('unshare', ['--user', 'true']) &&
    works('unshare', ['--user', '--map-users=0:0:4294967295', 'true']);
  if (!userNamespace)
    notes.push('the user is not varied: there are no user namespaces, or this is not root');
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

/** Returns one of the processors that this process may use, the last ones first. */
function otherCpu(index: number): number | undefined {
  if (availableParallelism() < 2 || findOnPath('taskset') === undefined) return undefined;
  const allowed = allowedProcessors();
  return allowed.at(-1 - (index % allowed.length));
}

/** Returns the bytes of memory that all layers of second builds may use. */
export function memoryForLayers(): number {
  const kibibytes = /^MemAvailable:\s*(\d+) kB/m.exec(read('/proc/meminfo'))?.[1];
  return Math.floor(Number(kibibytes ?? 0) * 1024 * MEMORY_SHARE);
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
