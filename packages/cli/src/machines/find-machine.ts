import { didYouMean, LktError } from '@lkt/core';
import type { MachineRecord } from '@lkt/machine';

/**
 * Returns the running machine of a name, or the only one without a name.
 * @param command the words to type before a name, for the fix
 * @throws LktError NOT_FOUND; USAGE_INVALID if several run and none is named
 */
export function findMachine(
  machines: readonly MachineRecord[],
  name: string | undefined,
  command: string,
): MachineRecord {
  const [first, second] = machines;
  if (first === undefined)
    throw new LktError('NOT_FOUND', 'no machine is running', {
      fix: 'start one in another terminal: lkt run images/my-os.yml',
    });
  if (name === undefined) {
    if (second === undefined) return first;
    throw new LktError('USAGE_INVALID', `${machines.length} machines are running`, {
      detail: listOf(machines),
      fix: `name one: ${command} ${first.name}`,
    });
  }
  const found = machines.find((machine) => machine.name === name);
  if (found !== undefined) return found;
  const names = machines.map((machine) => machine.name);
  throw new LktError('NOT_FOUND', `no machine with the name ${name} is running`, {
    detail: listOf(machines),
    fix: didYouMean(name, names, `name one that runs: ${command} ${first.name}`),
  });
}

/**
 * Returns the machine and the service that two words name. A single word is the name of a machine,
 * or else a service of the only one that runs.
 * @throws LktError NOT_FOUND; USAGE_INVALID for a service while several machines run
 */
export function findService(
  machines: readonly MachineRecord[],
  first: string | undefined,
  second: string | undefined,
  command: string,
): { readonly machine: MachineRecord; readonly service: string | undefined } {
  const isName = second !== undefined || machines.some(({ name }) => name === first);
  if (isName || first === undefined)
    return { machine: findMachine(machines, first, command), service: second };
  if (machines.length === 1)
    return { machine: findMachine(machines, undefined, command), service: first };
  const owner = machines.find(({ services }) => services?.includes(first) === true);
  if (owner !== undefined)
    throw new LktError(
      'USAGE_INVALID',
      `${first} is a service, and ${machines.length} machines run`,
      {
        detail: listOf(machines),
        fix: `name its machine: ${command} ${owner.name} ${first}`,
      },
    );
  return { machine: findMachine(machines, first, command), service: undefined };
}

const MAX_LISTED = 20;

function listOf(machines: readonly MachineRecord[]): string {
  const lines = machines.map(({ name, started, ports }) => {
    const forwards = ports.map(({ hostPort, guestPort }) => `${hostPort} to ${guestPort}`);
    const since = started.replace('T', ' ').replace(/\..*/, '');
    return [`  ${name}  since ${since} UTC`, ...forwards].join('  ');
  });
  return lines.slice(0, MAX_LISTED).join('\n');
}
