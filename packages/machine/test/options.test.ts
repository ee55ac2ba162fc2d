import { LktError } from '@lkt/core';
import { expect, test } from 'vitest';
import { parseDisk } from '../src/disk.ts';
import { parsePublishedPort } from '../src/published-port.ts';
import { qemuArguments } from '../src/qemu.ts';

test.each([
  ['2222:22', { address: '127.0.0.1', hostPort: 2222, guestPort: 22, protocol: 'tcp' }],
  ['0.0.0.0:80:8080/tcp', { address: '0.0.0.0', hostPort: 80, guestPort: 8080, protocol: 'tcp' }],
  ['53:53/udp', { address: '127.0.0.1', hostPort: 53, guestPort: 53, protocol: 'udp' }],
  ['0:22', { address: '127.0.0.1', hostPort: 0, guestPort: 22, protocol: 'tcp' }],
])('parses --publish %s', (text, wanted) => {
  expect(parsePublishedPort(text)).toEqual(wanted);
});

test.each([
  '',
  '22',
  '22:',
  ':22',
  '1:2:3',
  '70000:22',
  '22:0',
  '1:1/sctp',
  '1:1/tcp/udp',
  'x:1',
  '::1:22:22',
  '1,hostfwd=:1',
  '-1:22',
])('rejects --publish %s', (text) => {
  expect(() => parsePublishedPort(text)).toThrow(LktError);
});

test.each([
  ['a.img', { path: 'a.img', format: 'raw' }],
  ['a.img,size=1G', { path: 'a.img', size: 2 ** 30, format: 'raw' }],
  ['file=a,size=512', { path: 'a', size: 2 ** 29, format: 'raw' }],
  ['size=64M,format=qcow2', { size: 2 ** 26, format: 'qcow2' }],
  ['a.qcow2', { path: 'a.qcow2', format: 'qcow2' }],
  ['a.qcow2,format=raw', { path: 'a.qcow2', format: 'raw' }],
])('parses --disk %s', (text, wanted) => {
  expect(parseDisk(text)).toEqual(wanted);
});

test.each([
  '',
  'a,size=0',
  'a,size=1X',
  'a,format=vhd',
  'a,b',
  'file=',
  'format=raw',
  'a,readonly',
])('rejects --disk %s', (text) => {
  expect(() => parseDisk(text)).toThrow(LktError);
});

const base = {
  files: { kernel: 'k', initrd: 'i', cmdline: 'console=ttyS0' },
  accelerator: 'tcg',
  memory: 256,
  cpus: 2,
  publish: [],
  disks: [],
  network: true,
} as const;

test('a comma in a file name is not an option separator', () => {
  const disks = [{ path: 'a,snapshot=on', format: 'raw' as const }];
  expect(qemuArguments({ ...base, disks })).toContain(
    'file=a,,snapshot=on,format=raw,if=none,id=disk0',
  );
});

test('the root disk comes first and is read-only', () => {
  const files = { kernel: 'k', root: 'a,b-erofs.img', cmdline: '' };
  const args = qemuArguments({ ...base, files, disks: [{ path: 'd', format: 'raw' }] });
  const drives = args.filter((_, index) => args[index - 1] === '-drive');
  expect(drives).toEqual([
    'file=a,,b-erofs.img,format=raw,if=none,id=root,readonly=on',
    'file=d,format=raw,if=none,id=disk0',
  ]);
  expect(args).not.toContain('-initrd');
});

function serial(hasPort: boolean): readonly string[] {
  const args = qemuArguments({ ...base, hasPort });
  return args.filter((_, index) => args[index - 1] === '-serial');
}

test('the second serial port follows the console', () => {
  expect(serial(true)).toEqual(['chardev:console', 'chardev:port']);
  expect(serial(false)).toEqual(['chardev:console']);
});

function append(cmdline: string, accelerator: 'kvm' | 'tcg' = 'kvm'): string | undefined {
  return qemuArguments({ ...base, accelerator, files: { ...base.files, cmdline } }).at(-1);
}

test('adds panic=-1 unless the image sets it', () => {
  expect(append('quiet')).toBe('quiet panic=-1');
  expect(append('')).toBe('panic=-1');
  expect(append('panic=10 quiet')).toBe('panic=10 quiet');
  expect(append('nopanic=1')).toBe('nopanic=1 panic=-1');
});

test('adds no_timer_check without KVM', () => {
  expect(append('quiet', 'tcg')).toBe('quiet no_timer_check panic=-1');
  expect(append('no_timer_check panic=1', 'tcg')).toBe('no_timer_check panic=1');
});

function cpuOf(accelerator: 'kvm' | 'tcg'): string | undefined {
  const args = qemuArguments({ ...base, accelerator });
  return args[args.indexOf('-cpu') + 1];
}

test('disables fast string instructions without KVM only', () => {
  expect(cpuOf('tcg')).toBe('max,-erms,-fsrm');
  expect(cpuOf('kvm')).toBe('host');
});

test('adds no network card without network', () => {
  expect(qemuArguments({ ...base, network: false }).join(' ')).not.toContain('net');
});

test('joins a bridge by a card of its own, without ports of the host', () => {
  const network = { bridge: 'lkt0', mac: '52:54:00:00:00:10' };
  const publish = [parsePublishedPort('8080:80')];
  const args = qemuArguments({ ...base, network, publish });
  const after = (option: string): string | undefined => args[args.indexOf(option) + 1];
  expect(after('-netdev')).toBe('bridge,id=network,br=lkt0');
  expect(args).toContain('virtio-net-pci,netdev=network,romfile=,mac=52:54:00:00:00:10');
  expect(args.join(' ')).not.toContain('hostfwd');
});
