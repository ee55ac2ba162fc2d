import type { MachineRecord } from '@lkt/machine';
import { expect, test } from 'vitest';
import { findService } from '../../src/machines/find-machine.ts';

const machine = (name: string, services?: readonly string[]): MachineRecord => ({
  name,
  dir: `/run/${name}`,
  process: { pid: 1, start: '1', boot: 'b', namespace: 'n', host: 'h' },
  started: '2026-01-02T03:04:05.678Z',
  ports: [],
  ...(services === undefined ? {} : { services }),
});

const one = machine('web', ['nginx', 'sshd']);
const other = machine('db', ['valkey']);

test.each([
  [[one], undefined, undefined, 'web', undefined],
  [[one], 'nginx', undefined, 'web', 'nginx'],
  [[one], 'web', undefined, 'web', undefined],
  [[one, other], 'db', undefined, 'db', undefined],
  [[one, other], 'db', 'valkey', 'db', 'valkey'],
])('finds the machine and the service: %#', (machines, first, second, name, service) => {
  const found = findService(machines, first, second, 'lkt logs');
  expect([found.machine.name, found.service]).toEqual([name, service]);
});

test.each([
  [[one, other], 'valkey', 'valkey is a service, and 2 machines run', 'lkt logs db valkey'],
  [[one, other], undefined, '2 machines are running', 'lkt logs web'],
  [[one, other], 'none', 'no machine with the name none is running', 'lkt logs web'],
  [[], 'nginx', 'no machine is running', 'lkt run images/my-os.yml'],
])('asks for a machine: %#', (machines, first, message, fix) => {
  expect(() => findService(machines, first, undefined, 'lkt logs')).toThrow(
    expect.objectContaining({ message, fix: expect.stringContaining(fix) }),
  );
});
