import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { findOnPath } from '../native/tools.ts';
import type { World } from '../world.ts';

/** A world as different as the machine allows, and what could not be changed. */
export interface Surroundings {
  readonly world: Omit<World, 'expected'>;
  readonly notes: readonly string[];
}

/** The part of the free memory that layers may take. */
const SHARE_OF_MEMORY = 0.6;
/** What layers need unpacked, as a multiple of the compressed layers they start from, and beyond it. */
const GROWTH = 4;
const HEADROOM = 512 * 2 ** 20;

/** @param inputs bytes of the compressed layers that the build is on */
export function otherSurroundings(inputs: number): Surroundings {
  const notes: string[] = [];
  const cpu = otherCpu();
  if (cpu === undefined)
    notes.push('the number of processors is the same: there is one, or no taskset');
  const fixedAddresses = works('setarch', ['--addr-no-randomize', 'true']);
  if (!fixedAddresses) notes.push('addresses of memory are random in both builds');
  const memory = Math.floor(availableMemory() * SHARE_OF_MEMORY);
  const fits = memory >= inputs * GROWTH + HEADROOM;
  if (!fits)
    notes.push('the order of directories is the same: too little memory is free for the layers');
  const isRoot = process.geteuid?.() === 0;
  const userNamespace =
    isRoot && works('unshare', ['--user', '--map-users=0:0:4294967295', 'true']);
  if (!userNamespace) notes.push('both builds are by one user');
  return {
    world: {
      hostname: 'elsewhere',
      umask: 0o077,
      ...(cpu === undefined ? {} : { cpu }),
      fixedAddresses,
      userNamespace,
      ...(fits ? { memory } : {}),
      environment: {
        HOME: '/nonexistent',
        LANG: 'tr_TR.UTF-8',
        LC_ALL: 'tr_TR.UTF-8',
        TZ: 'Asia/Kathmandu',
      },
    },
    notes,
  };
}

/** The last of several processors that this process may use. */
function otherCpu(): number | undefined {
  if (availableParallelism() < 2 || findOnPath('taskset') === undefined) return undefined;
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status'))?.[1];
  const last = allowed?.split(/[,-]/).at(-1);
  return last === undefined ? undefined : Number(last);
}

function availableMemory(): number {
  const kibibytes = /^MemAvailable:\s*(\d+) kB/m.exec(read('/proc/meminfo'))?.[1];
  return Number(kibibytes ?? 0) * 1024;
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
