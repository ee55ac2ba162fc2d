import { readFileSync } from 'node:fs';

/** A range of ids of a user namespace (user_namespaces(7)). */
interface IdRange {
  readonly first: number;
  /** The first id in the parent namespace. */
  readonly outside: number;
  readonly count: number;
}

/** The rights of this process in its user namespace. */
export interface ProcessRights {
  /** Whether it is in the machine's own user namespace, where ids are those of the host. */
  readonly isInitial: boolean;
  readonly users: readonly IdRange[];
  readonly groups: readonly IdRange[];
  readonly canSetGroups: boolean;
  readonly noNewPrivileges: boolean;
  /** Reports whether all capabilities (capabilities.h) are effective. */
  readonly has: (capabilities: readonly number[]) => boolean;
  /** Reports whether a program that is started here can have a capability. */
  readonly canGain: (capability: number) => boolean;
}

const EVERY_ID = 4_294_967_295;

/** Reads the rights of this process. Without /proc it seems to have all of them. */
export function readProcessRights(): ProcessRights {
  const status = read('status');
  const mask = (name: string): bigint =>
    BigInt(
      `0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? 'ffffffffffffffff'}`,
    );
  const [effective, bounding] = [mask('CapEff'), mask('CapBnd')];
  const users = rangesOf(read('uid_map'));
  return {
    isInitial: users[0]?.count === EVERY_ID && users[0].outside === 0,
    users,
    groups: rangesOf(read('gid_map')),
    canSetGroups: read('setgroups').trim() !== 'deny',
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
    has: (capabilities) => capabilities.every((capability) => isSet(effective, capability)),
    canGain: (capability) => isSet(bounding, capability),
  };
}

function isSet(set: bigint, capability: number): boolean {
  return (set >> BigInt(capability)) % 2n === 1n;
}

function rangesOf(map: string): readonly IdRange[] {
  const lines = map.split('\n').filter((line) => line.trim() !== '');
  const ranges = lines.map((line) => {
    const [first = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    return { first, outside, count };
  });
  return ranges.length > 0 ? ranges : [{ first: 0, outside: 0, count: EVERY_ID }];
}

function read(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8');
  } catch {
    return '';
  }
}
