import { execFile, execFileSync } from 'node:child_process';
import { mkdtempDisposable, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { digestOf } from '@lkt/core';
import { inMemory, planFat, rawBytes } from '@lkt/formats';
import { expect, vi } from 'vitest';
import { openRedfish, type RedfishOptions } from '../../../src/providers/redfish/open.ts';
import type { MachineImage } from '../../../src/provider.ts';
import { EXAMPLE_LABELS } from '../../example-labels.ts';
import { redfishPrivileges } from '../documented-rights.ts';
import { describeProvider } from '../../provider-conformance.ts';
import { serveBootFiles } from './boot-server.ts';
import { imageIn, macOf, type Rack, startRack } from './rack.ts';
import { type RedfishTestMachine, startRedfishMachine } from './redfish-machine.ts';

describeProvider('redfish', async () => {
  await using stack = new AsyncDisposableStack();
  const rack = stack.use(await startRack(async () => startRedfishMachine()));
  const { dir } = rack;
  const fixture = {
    open: async () => openRedfish({ ...settingsOf(rack), firmware: 'efi', warn: () => undefined }),
    image: await imageIn(dir, 'hello'),
    otherImage: await imageIn(dir, 'other'),
    template: { cpus: 1, memory: 16, publish: [8080], volumes: [] },
    impossible: { name: '../escape' },
    powerOff: async ({ name }: { readonly name: string }) => rack.machines.get(name)?.kill(),
  };
  const owned = stack.move();
  return {
    ...fixture,
    [Symbol.asyncDispose]: async () => {
      expect(await readdir(join(dir, 'state', 'nodes'))).toEqual([]);
      await owned.disposeAsync();
    },
  };
});

/** Returns the settings of a provider for a rack. */
function settingsOf({
  dir,
  machines,
  passwordFile,
}: Rack<RedfishTestMachine>): Omit<RedfishOptions, 'firmware' | 'warn'> {
  const own = [...machines].map(([name, { url }], index) => {
    const machine = { url, mac: macOf(index), address: '127.0.0.1' };
    return [name, machine] as const;
  });
  return { dir: join(dir, 'state'), user: 'lkt', passwordFile, machines: new Map(own) };
}

/** A disk whose boot sector writes a text to the serial port. */
function bootSector(text: string): Buffer {
  const sector = Buffer.alloc(512);
  // ds = 0; si = text; next: lodsb; 0 -> halt; out 0x3f8; again; halt
  sector.write('31c08ed8be167cac84c07406baf803eeebf5f4ebfd90', 'hex');
  sector.write(`${text}\0`, 0x16, 'latin1');
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** A disk as UEFI boots it from a USB stick, whose program writes a text to the serial port. */
async function efiDisk(text: string): Promise<Buffer> {
  const program = Buffer.alloc(0x400);
  program.write('MZ');
  program.writeUInt32LE(0x40, 0x3c);
  program.write('PE\0\0', 0x40, 'latin1');
  program.writeUInt16LE(0x8664, 0x44); // x86-64
  program.writeUInt16LE(1, 0x46); // one section
  program.writeUInt16LE(0xf0, 0x54); // size of the optional header
  program.writeUInt16LE(0x22, 0x56); // a program
  program.writeUInt16LE(0x20b, 0x58); // PE32+
  program.writeUInt32LE(0x200, 0x5c);
  program.writeUInt32LE(0x1000, 0x68); // where it begins
  program.writeUInt32LE(0x1000, 0x6c);
  program.writeUInt32LE(0x1000, 0x78); // alignment in memory, and in the file
  program.writeUInt32LE(0x200, 0x7c);
  program.writeUInt32LE(0x2000, 0x90); // size in memory
  program.writeUInt32LE(0x200, 0x94); // size of the headers
  program.writeUInt16LE(10, 0x9c); // an EFI application
  program.writeUInt32LE(16, 0xc4);
  program.write('.text', 0x148);
  program.writeUInt32LE(0x200, 0x150);
  program.writeUInt32LE(0x1000, 0x154);
  program.writeUInt32LE(0x200, 0x158);
  program.writeUInt32LE(0x200, 0x15c);
  program.writeUInt32LE(0x6000_0020, 0x16c);
  // rsi = text; next: lodsb; 0 -> halt; out 0x3f8; again; halt
  program.write('488d350f000000ac84c0740766baf803eeebf4f4ebfd', 0x200, 'hex');
  program.write(`${text}\0`, 0x216, 'latin1');
  const file = { path: 'EFI/BOOT/BOOTX64.EFI', ...inMemory(program) };
  const fat = planFat([file], { kind: 'smallest', id: 1, label: 'STICK' });
  return Buffer.concat(await Array.fromAsync(rawBytes(fat.disk())));
}

/** Makes a certificate of 127.0.0.1 that signs itself. */
function makeCertificate(dir: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const about = ['-subj', '/CN=bmc', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const files = ['-keyout', key, '-out', cert, '-days', '2'];
  execFileSync('openssl', ['req', ...options, ...files, ...about], { stdio: 'ignore' });
  return { cert, key };
}

describeProvider('redfish with virtual media, over TLS', async () => {
  await using stack = new AsyncDisposableStack();
  const certificates = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-bmc-')));
  const { cert, key } = makeCertificate(certificates.path);
  const tls = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  const start = async (): Promise<RedfishTestMachine> =>
    startRedfishMachine(tls, redfishPrivileges());
  const rack = stack.use(await startRack(start));
  const { dir, machines } = rack;
  const served: string[] = [];
  const { port, ended } = await serveBootFiles(join(dir, 'state', 'boot'), served);
  stack.defer(async () => ended());
  const image = async (text: string): Promise<MachineImage> => {
    const path = join(dir, text);
    await writeFile(path, bootSector(text));
    const disk = { path, kind: 'disk', format: 'raw', firmware: 'bios' } as const;
    return { digest: digestOf(text), files: { kernel: '', cmdline: '' }, disk };
  };
  const settings = {
    ...settingsOf(rack),
    firmware: 'bios',
    mediaUrl: `http://127.0.0.1:${port}`,
    warn: () => undefined,
  } as const;
  const fixture = {
    open: async () => openRedfish({ ...settings, caFile: cert }),
    image: await image('hello of a disk'),
    otherImage: await image('other'),
    template: { cpus: 1, memory: 16, publish: [8080], volumes: [] },
    impossible: { name: '../escape' },
    powerOff: async ({ name }: { readonly name: string }) => rack.machines.get(name)?.kill(),
  };
  // The first machine is booted by lkt, and read by sushy.
  await using provider = await fixture.open();
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const prepared = await provider.prepare(fixture.image, options);
  const request = {
    name: 'rack-0',
    image: prepared,
    labels: { ...EXAMPLE_LABELS, fleet: 'before' },
    template: fixture.template,
    metadata: undefined,
    settings: undefined,
  };
  await provider.create(request, options);
  const url = machines.get('rack-0')?.url ?? '';
  expect(await mediaBySushy(url, cert)).toBe(
    `usb USBStick True http://127.0.0.1:${port}/images/${prepared}/disk.img Usb Once`,
  );
  await vi.waitFor(
    async () => expect(await machines.get('rack-0')?.console()).toContain('hello of a disk'),
    { timeout: 60_000, interval: 100 },
  );
  expect(served.join('\n')).toContain(`200 GET /images/${prepared}/disk.img`);
  await provider.destroy('rack-0', { ...options, graceMs: 0 });
  await vi.waitFor(
    async () => {
      await provider.destroy('rack-0', { ...options, graceMs: 0 });
      expect(await provider.list('before', options)).toEqual([]);
    },
    { timeout: 60_000, interval: 100 },
  );
  expect(machines.get('rack-0')?.drive).toMatchObject({ Inserted: false });
  await bootByUefi({ ...settings, caFile: cert }, machines.get('rack-1'), dir);
  // Without the certificate's authority, nothing is sent.
  await using untrusting = await openRedfish(settings);
  await expect(untrusting.create(request, options)).rejects.toMatchObject({
    failure: 'unavailable',
    message: expect.stringMatching(/self-signed certificate/),
  });
  await rm(join(dir, 'state', 'nodes'), { recursive: true });
  const owned = stack.move();
  return { ...fixture, [Symbol.asyncDispose]: async () => owned.disposeAsync() };
});

/** Boots a machine by UEFI, after the disk of a wrong firmware was refused. */
async function bootByUefi(
  settings: RedfishOptions,
  machine: RedfishTestMachine | undefined,
  dir: string,
): Promise<void> {
  const options = { generation: 1, signal: AbortSignal.timeout(300_000) };
  const path = join(dir, 'efi');
  await writeFile(path, await efiDisk('hello of UEFI'));
  const disk = { path, kind: 'disk', format: 'raw', firmware: 'efi' } as const;
  const image = { digest: digestOf('efi'), files: { kernel: '', cmdline: '' }, disk };
  await using wrong = await openRedfish({ ...settings, firmware: 'bios' });
  await expect(wrong.prepare(image, options)).rejects.toMatchObject({
    failure: 'invalid',
    message: 'the machines have BIOS firmware, and the disk of the image boots by EFI',
    fix: 'build the format raw-bios, or set firmware: efi of the provider',
  });
  await using provider = await openRedfish({ ...settings, firmware: 'efi' });
  const request = {
    name: 'rack-1',
    image: await provider.prepare(image, options),
    labels: { ...EXAMPLE_LABELS, fleet: 'before' },
    template: { cpus: 1, memory: 128, publish: [], volumes: [] },
    metadata: undefined,
    settings: undefined,
  };
  await provider.create(request, options);
  expect(machine?.boot).toMatchObject({ BootSourceOverrideMode: 'UEFI' });
  await vi.waitFor(async () => expect(await machine?.console()).toContain('hello of UEFI'), {
    timeout: 240_000,
    interval: 200,
  });
  await provider.destroy('rack-1', { ...options, graceMs: 0 });
  await vi.waitFor(
    async () => {
      await provider.destroy('rack-1', { ...options, graceMs: 0 });
      expect(await provider.list('before', options)).toEqual([]);
    },
    { timeout: 60_000, interval: 100 },
  );
}

/** Reads the virtual drive by python3-sushy, which verifies the certificate. */
async function mediaBySushy(url: string, ca: string): Promise<string> {
  const script = `
import sushy
from sushy import auth
service = sushy.Sushy('${url}/redfish/v1', auth=auth.BasicAuth('lkt', 'test'), verify='${ca}')
system = service.get_system_collection().get_members()[0]
media = system.managers[0].virtual_media.get_members()
usb = [one for one in media if one.identity == 'Usb'][0]
print(usb.name, usb.media_types[0].value, usb.inserted, usb.image, system.boot['target'].value, system.boot['enabled'].value)
`;
  const { stdout } = await promisify(execFile)('/usr/bin/python3', ['-c', script]);
  return stdout.trim();
}
