import { setTimeout as sleep } from 'node:timers/promises';
import { ProviderError } from '../../provider.ts';
import type { PowerControl } from '../metal/power-control.ts';
import type { RedfishClient, Resource } from './client.ts';
import { objectOf } from '../../rest/json-object.ts';
import { linkOf, linksOf, type RedfishMachine } from './machine.ts';
import type { RedfishSettings } from './settings.ts';
import { VirtualMedia } from './virtual-media.ts';

const ROOT = '/redfish/v1/';
const LAG_TRIES = 20;
const LAG_POLL_MS = 500;
const ON = new Set(['On', 'PoweringOff', 'Paused']);
const OFF = new Set(['Off', 'PoweringOn']);

/** Switches machines by their Redfish services (DSP0266). */
export class RedfishPower implements PowerControl<RedfishMachine> {
  readonly #client: RedfishClient;
  readonly #media: VirtualMedia;
  readonly #firmware: RedfishSettings['firmware'];

  constructor(client: RedfishClient, firmware: RedfishSettings['firmware']) {
    this.#client = client;
    this.#media = new VirtualMedia(client);
    this.#firmware = firmware;
  }

  async isOn(machine: RedfishMachine, signal: AbortSignal): Promise<boolean> {
    const { body } = await this.#system(machine, signal);
    const state = typeof body['PowerState'] === 'string' ? body['PowerState'] : '';
    if (ON.has(state) || OFF.has(state)) return ON.has(state);
    throw new ProviderError('malformed', `${machine.url} reports no power state`);
  }

  async bootFromNetwork(machine: RedfishMachine, signal: AbortSignal): Promise<void> {
    await this.#bootOnce(machine, 'Pxe', signal);
  }

  async bootFromMedium(machine: RedfishMachine, url: string, signal: AbortSignal): Promise<void> {
    await this.#media.insert(machine, (await this.#system(machine, signal)).body, url, signal);
    await this.#bootOnce(machine, 'Usb', signal);
  }

  async ejectMedium(machine: RedfishMachine, signal: AbortSignal): Promise<void> {
    await this.#media.eject(machine, (await this.#system(machine, signal)).body, signal);
  }

  async #bootOnce(machine: RedfishMachine, target: string, signal: AbortSignal): Promise<void> {
    const { path, etag } = await this.#system(machine, signal);
    const body = {
      Boot: {
        BootSourceOverrideTarget: target,
        BootSourceOverrideEnabled: 'Once',
        BootSourceOverrideMode: this.#firmware === 'efi' ? 'UEFI' : 'Legacy',
      },
    };
    await this.#client.send('PATCH', machine.url, path, { body, etag, signal });
  }

  async on(machine: RedfishMachine, signal: AbortSignal): Promise<void> {
    await this.#reset(machine, 'On', signal);
  }

  async shutDown(machine: RedfishMachine, signal: AbortSignal): Promise<void> {
    await this.#reset(machine, 'GracefulShutdown', signal);
  }

  async off(machine: RedfishMachine, signal: AbortSignal): Promise<void> {
    await this.#reset(machine, 'ForceOff', signal);
  }

  async #reset(machine: RedfishMachine, type: string, signal: AbortSignal): Promise<void> {
    const { body } = await this.#system(machine, signal);
    const actions = objectOf(body['Actions']);
    const path = linkOf(machine, objectOf(actions['#ComputerSystem.Reset'])['target']);
    try {
      const options = { body: { ResetType: type }, signal };
      await this.#client.send('POST', machine.url, path, options);
    } catch (error) {
      if (!(error instanceof ProviderError) || error.failure !== 'invalid') throw error;
      // A service without graceful shutdown: the node is switched off at its deadline.
      if (type === 'GracefulShutdown') return;
      // Services refuse to switch off what is off, and their power state may lag behind.
      for (let tries = 0; tries < LAG_TRIES; tries += 1) {
        if ((await this.isOn(machine, signal)) === (type === 'On')) return;
        await sleep(LAG_POLL_MS, undefined, { signal });
      }
      throw error;
    }
  }

  async #system(
    machine: RedfishMachine,
    signal: AbortSignal,
  ): Promise<Resource & { readonly path: string }> {
    const { url, system } = machine;
    const root = await this.#client.get(url, ROOT, signal);
    const systems = linkOf(machine, objectOf(root.body['Systems'])['@odata.id']);
    const { body } = await this.#client.get(url, systems, signal);
    const paths = linksOf(machine, body['Members']);
    const named = paths.filter((path) => system === undefined || path.endsWith(`/${system}`));
    const [path] = named;
    if (path === undefined || named.length > 1)
      throw new ProviderError('invalid', `${url} has ${named.length} systems for ${machine.name}`, {
        fix: `name one of: ${paths.map((one) => one.split('/').at(-1)).join(', ')}`,
      });
    return { ...(await this.#client.get(url, path, signal)), path };
  }
}
