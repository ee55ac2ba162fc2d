import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { guardedDirectory } from '@lkt/testing/guarded-directory';

/** A Redfish service that switches a QEMU. python3-sushy judges it in the test. */
export interface RedfishTestMachine extends AsyncDisposable {
  readonly url: string;
  readonly kill: () => Promise<void>;
  /** Boot settings that were set last. */
  readonly boot: Readonly<Record<string, unknown>>;
  /** Returns what the guest wrote to its serial port. */
  readonly console: () => Promise<string>;
  /** The drive of virtual media. */
  readonly drive: Readonly<Record<string, unknown>>;
  /** Answers the next requests of a path by this instead. */
  readonly answer: (path: string, status: number, body: string, count?: number) => void;
}

const QEMU = '-nodefaults -no-user-config -display none -accel tcg -net none';
const OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd';
/** How long PowerState lags behind, as that of many BMCs does. */
const LAG_MS = 700;
const SYSTEM = '/redfish/v1/Systems/1';
const MANAGER = '/redfish/v1/Managers/1';
const MEDIA = `${MANAGER}/VirtualMedia`;
const RESET = `${SYSTEM}/Actions/ComputerSystem.Reset`;
const TYPES = ['On', 'ForceOff', 'GracefulShutdown'];

/** The privileges of the role Operator (DSP0266). */
const OPERATOR: ReadonlySet<string> = new Set(['Login', 'ConfigureComponents', 'ConfigureSelf']);

/** Returns the privilege that a request needs by the standard's registry (DSP8011). */
function privilegeOf(method: string | undefined, path: string): string {
  if (method === 'GET') return 'Login';
  return path.startsWith(SYSTEM) ? 'ConfigureComponents' : 'ConfigureManager';
}

/**
 * Starts a service, whose machine is off. The user is `lkt`, the password `test`. Its manners are
 * those of strict BMCs: a PATCH needs the ETag, and a reset that changes nothing is refused.
 * @param role the privileges of the user
 */
export async function startRedfishMachine(
  tls?: { readonly cert: string; readonly key: string },
  role: ReadonlySet<string> = OPERATOR,
): Promise<RedfishTestMachine> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(guardedDirectory('lkt-redfish-'));
  const disk = join(dir.path, 'disk');
  const log = join(dir.path, 'console');
  await writeFile(log, '');
  let drive: Record<string, unknown> = { Image: null, Inserted: false };
  let qemu: ChildProcess | undefined;
  let boot: Record<string, unknown> = {
    BootSourceOverrideTarget: 'None',
    BootSourceOverrideEnabled: 'Disabled',
    BootSourceOverrideMode: 'UEFI',
    'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Hdd', 'Usb'],
  };
  let version = 1;
  let shown = 'Off';
  const prepared: { path: string; status: number; body: string }[] = [];
  const isOn = (): boolean =>
    qemu !== undefined && qemu.exitCode === null && qemu.signalCode === null;
  const lag = async (): Promise<void> => {
    await sleep(LAG_MS);
    shown = isOn() ? 'On' : 'Off';
  };
  const kill = async (): Promise<void> => {
    if (qemu === undefined || !isOn()) return;
    qemu.kill('SIGKILL');
    await once(qemu, 'exit');
    await lag();
  };
  const reset = async (type: unknown): Promise<number> => {
    if (!TYPES.includes(String(type)) || (type === 'On') === isOn()) return 400;
    if (type === 'On') {
      const hasMedium = boot['BootSourceOverrideTarget'] === 'Usb' && drive['Inserted'] === true;
      const firmware = hasMedium ? boot['BootSourceOverrideMode'] : 'none';
      const media =
        firmware === 'UEFI'
          ? // Its variables are lost, so that nothing but the medium can be booted.
            `-machine q35 -m 128 -drive if=pflash,unit=0,format=raw,readonly=on,file=${OVMF} -drive if=none,id=stick,format=raw,readonly=on,file=${disk} -device qemu-xhci -device usb-storage,drive=stick,bootindex=0`
          : firmware === 'Legacy'
            ? `-machine pc -m 16 -drive file=${disk},format=raw,if=ide,snapshot=on`
            : '-machine pc -m 16';
      const args = [...QEMU.split(' '), '-serial', `file:${log}`, ...media.split(' ')];
      qemu = spawn('qemu-system-x86_64', args, { stdio: 'ignore' });
      void lag();
    } else if (type === 'ForceOff') void kill();
    return 204;
  };
  /** Loads a medium, which takes longer than the answer. */
  const load = async (url: string): Promise<void> => {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok !== true) return;
    await writeFile(disk, Buffer.from(await response.arrayBuffer()));
    drive = { Image: url, Inserted: true, WriteProtected: true };
  };
  const resources = (): Readonly<Record<string, unknown>> => ({
    '/redfish/v1': {
      '@odata.id': '/redfish/v1/',
      Id: 'RootService',
      Name: 'Root',
      RedfishVersion: '1.6.0',
      Systems: { '@odata.id': '/redfish/v1/Systems' },
      Managers: { '@odata.id': '/redfish/v1/Managers' },
      SessionService: { '@odata.id': '/redfish/v1/SessionService' },
      Links: { Sessions: { '@odata.id': '/redfish/v1/SessionService/Sessions' } },
    },
    '/redfish/v1/Systems': {
      '@odata.id': '/redfish/v1/Systems',
      Name: 'Systems',
      'Members@odata.count': 1,
      Members: [{ '@odata.id': SYSTEM }],
    },
    '/redfish/v1/Managers': {
      '@odata.id': '/redfish/v1/Managers',
      Name: 'Managers',
      'Members@odata.count': 1,
      Members: [{ '@odata.id': MANAGER }],
    },
    [MANAGER]: {
      '@odata.id': MANAGER,
      Id: '1',
      Name: 'manager',
      VirtualMedia: { '@odata.id': MEDIA },
      Links: { ManagerForServers: [{ '@odata.id': SYSTEM }] },
    },
    [MEDIA]: {
      '@odata.id': MEDIA,
      Name: 'Media',
      'Members@odata.count': 2,
      Members: [{ '@odata.id': `${MEDIA}/Cd` }, { '@odata.id': `${MEDIA}/Usb` }],
    },
    [`${MEDIA}/Cd`]: {
      '@odata.id': `${MEDIA}/Cd`,
      Id: 'Cd',
      Name: 'cd',
      MediaTypes: ['CD', 'DVD'],
      Inserted: false,
    },
    [`${MEDIA}/Usb`]: {
      '@odata.id': `${MEDIA}/Usb`,
      Id: 'Usb',
      Name: 'usb',
      MediaTypes: ['USBStick'],
      ...drive,
      Actions: {
        '#VirtualMedia.InsertMedia': { target: `${MEDIA}/Usb/Actions/VirtualMedia.InsertMedia` },
        '#VirtualMedia.EjectMedia': { target: `${MEDIA}/Usb/Actions/VirtualMedia.EjectMedia` },
      },
    },
    [SYSTEM]: {
      '@odata.id': SYSTEM,
      Id: '1',
      Name: 'system',
      PowerState: shown,
      Boot: boot,
      Links: { ManagedBy: [{ '@odata.id': MANAGER }] },
      Actions: {
        '#ComputerSystem.Reset': { target: RESET, 'ResetType@Redfish.AllowableValues': TYPES },
      },
    },
  });
  const respond = async (incoming: IncomingMessage): Promise<[number, unknown?]> => {
    const path = (incoming.url ?? '').replace(/\/$/, '');
    const expected = `Basic ${Buffer.from('lkt:test').toString('base64')}`;
    if (path !== '/redfish/v1' && incoming.headers.authorization !== expected) return [401];
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    if (!role.has(privilegeOf(incoming.method, path))) return [403];
    const next = prepared.findIndex((one) => one.path === path);
    const [found] = next === -1 ? [] : prepared.splice(next, 1);
    if (found !== undefined) return [found.status, found.body];
    const body =
      chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as object);
    if (incoming.method === 'POST' && path === RESET)
      return [await reset((body as { ResetType?: unknown }).ResetType)];
    if (incoming.method === 'POST' && path.startsWith(`${MEDIA}/Usb/Actions/`)) {
      const { Image: image } = body as { readonly Image?: string };
      if (path.endsWith('EjectMedia')) drive = { Image: null, Inserted: false };
      // A full drive takes no other medium.
      else if (image === undefined || drive['Inserted'] === true) return [409];
      else void load(image);
      return [204];
    }
    if (incoming.method === 'PATCH' && path === SYSTEM) {
      if (incoming.headers['if-match'] !== `"${version}"`) return [412];
      boot = { ...boot, ...(body as { Boot: object }).Boot };
      version += 1;
      return [204];
    }
    const resource = resources()[path];
    return incoming.method !== 'GET' || resource === undefined ? [404] : [200, resource];
  };
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  server.on('request', (incoming, outgoing) => {
    void (async () => {
      const [status, body] = await respond(incoming);
      outgoing.writeHead(status, { 'content-type': 'application/json', etag: `"${version}"` });
      outgoing.end(
        typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body),
      );
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const owned = stack.move();
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    kill,
    console: async () => readFile(log, 'latin1'),
    get drive() {
      return drive;
    },
    get boot() {
      return boot;
    },
    answer: (path, status, body, count = 1) => {
      for (let index = 0; index < count; index += 1) prepared.push({ path, status, body });
    },
    [Symbol.asyncDispose]: async () => {
      await kill();
      server.closeAllConnections();
      server.close();
      await owned.disposeAsync();
    },
  };
}
