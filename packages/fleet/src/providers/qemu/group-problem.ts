import type { GroupMachines, GroupProblem } from '../../provider.ts';
import type { QemuGroupSettings } from './settings.ts';

const MAX_PORT = 65_535;
const FIXED = 'name the nodes: nodes: [web-0, web-1]';

/** Returns why nodes cannot have the ports and addresses that a group fixes. */
export function qemuProblem(
  { settings, hasSlots, publish, size }: GroupMachines,
  bridge: string | undefined,
): GroupProblem | undefined {
  const { ports = new Map<number, number>(), mac } = (settings ?? {}) as Partial<QemuGroupSettings>;
  if (mac !== undefined && bridge === undefined)
    return problem(
      'mac',
      'mac needs a bridge',
      'name the bridge at the provider: qemu: { bridge: NAME }, or remove "mac"',
    );
  if (mac !== undefined && !hasSlots)
    return problem(
      'mac',
      'the names of the nodes are not fixed, so mac cannot be',
      `remove "mac", or ${FIXED}`,
    );
  if (ports.size === 0) return undefined;
  if (bridge !== undefined)
    return problem(
      'ports',
      'nodes on a bridge publish no ports of this machine',
      'remove "ports": every port of a node is reachable at its own address',
    );
  if (!hasSlots)
    return problem(
      'ports',
      'the names of the nodes are not fixed, so ports cannot be',
      `remove "ports", or ${FIXED}`,
    );
  const taken = new Map<number, number>();
  for (const [guest, first] of ports) {
    if (!publish.includes(guest))
      return problem(
        'ports',
        `port ${guest} of the guest is not published`,
        `add it to the template: publish: [${[...publish, guest].join(', ')}]`,
      );
    for (let host = first; host < first + size; host += 1) {
      const other = taken.get(host);
      if (other !== undefined || host > MAX_PORT)
        return problem(
          'ports',
          host > MAX_PORT
            ? `${size} nodes need ports up to ${first + size - 1}`
            : `the ports ${other} and ${guest} of two nodes would both get port ${host}`,
          `each node has the next port: begin ${guest} lower, or ${size} ports away from others`,
        );
      taken.set(host, guest);
    }
  }
  return undefined;
}

function problem(key: 'mac' | 'ports', message: string, fix: string): GroupProblem {
  return { keys: ['qemu', key], message, fix };
}
