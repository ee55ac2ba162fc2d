import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A Redfish service that switches a QEMU. python3-sushy judges it in the test. */
export interface RedfishTestMachine extends AsyncDisposable {
  readonly url: string;
  readonly kill: () => Promise<void>;
  /** Boot settings that were set last. */
  readonly boot: Readonly<Record<string, unknown>>;
  /** Answers the next requests of a path by this instead. */
  readonly answer: (path: string, status: number, body: string, count?: number) => void;
}

const QEMU = '-nodefaults -no-user-config -display none -machine pc -accel tcg -m 16 -net none';
/** How long PowerState lags behind, as that of many BMCs does. */
const LAG_MS = 700;
const SYSTEM = '/redfish/v1/Systems/1';
const RESET = `${SYSTEM}/Actions/ComputerSystem.Reset`;
const TYPES = ['On', 'ForceOff', 'GracefulShutdown'];

/**
 * Starts a service, whose machine is off. The user is `lkt`, the password `test`. Its manners are
 * those of strict BMCs: a PATCH needs the ETag, and a reset that changes nothing is refused.
 */
export async function startRedfishMachine(): Promise<RedfishTestMachine> {
  let qemu: ChildProcess | undefined;
  let boot: Record<string, unknown> = {
    BootSourceOverrideTarget: 'None',
    BootSourceOverrideEnabled: 'Disabled',
    BootSourceOverrideMode: 'UEFI',
    'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Hdd'],
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
      qemu = spawn('qemu-system-x86_64', QEMU.split(' '), { stdio: 'ignore' });
      void lag();
    } else if (type === 'ForceOff') void kill();
    return 204;
  };
  const resources = (): Readonly<Record<string, unknown>> => ({
    '/redfish/v1': {
      '@odata.id': '/redfish/v1/',
      Id: 'RootService',
      Name: 'Root',
      RedfishVersion: '1.6.0',
      Systems: { '@odata.id': '/redfish/v1/Systems' },
      SessionService: { '@odata.id': '/redfish/v1/SessionService' },
      Links: { Sessions: { '@odata.id': '/redfish/v1/SessionService/Sessions' } },
    },
    '/redfish/v1/Systems': {
      '@odata.id': '/redfish/v1/Systems',
      Name: 'Systems',
      'Members@odata.count': 1,
      Members: [{ '@odata.id': SYSTEM }],
    },
    [SYSTEM]: {
      '@odata.id': SYSTEM,
      Id: '1',
      Name: 'system',
      PowerState: shown,
      Boot: boot,
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
    const next = prepared.findIndex((one) => one.path === path);
    const [found] = next === -1 ? [] : prepared.splice(next, 1);
    if (found !== undefined) return [found.status, found.body];
    const body =
      chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as object);
    if (incoming.method === 'POST' && path === RESET)
      return [await reset((body as { ResetType?: unknown }).ResetType)];
    if (incoming.method === 'PATCH' && path === SYSTEM) {
      if (incoming.headers['if-match'] !== `"${version}"`) return [412];
      boot = { ...boot, ...(body as { Boot: object }).Boot };
      version += 1;
      return [204];
    }
    const resource = resources()[path];
    return incoming.method !== 'GET' || resource === undefined ? [404] : [200, resource];
  };
  const server = createServer((incoming, outgoing) => {
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
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    kill,
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
    },
  };
}
