import { setTimeout as sleep } from 'node:timers/promises';
import { ProviderError } from '../../provider.ts';
import type { RedfishClient } from './client.ts';
import { objectOf } from '../../rest/json-object.ts';
import { linkOf, linksOf, type RedfishMachine } from './machine.ts';

type Body = Readonly<Record<string, unknown>>;

/** A drive that a BMC shows to its machine. */
interface Drive {
  readonly path: string;
  readonly body: Body;
}

const TRIES = 60;
const POLL_MS = 500;

/** Puts disks into the virtual USB drive of a BMC, which loads them from a URL. */
export class VirtualMedia {
  readonly #client: RedfishClient;

  constructor(client: RedfishClient) {
    this.#client = client;
  }

  /** @param system the resource of the machine */
  async insert(
    machine: RedfishMachine,
    system: Body,
    url: string,
    signal: AbortSignal,
  ): Promise<void> {
    const drive = await this.#drive(machine, system, signal);
    const { body } = drive;
    if (body['Inserted'] === true && body['Image'] === url) return;
    // Services refuse to insert into a full drive.
    await this.#ejectFrom(machine, drive, signal);
    await this.#act(machine, drive, 'InsertMedia', signal, {
      Image: url,
      Inserted: true,
      WriteProtected: true,
    });
    await this.#waitFor(true, machine, drive, signal);
  }

  /** @param system the resource of the machine */
  async eject(machine: RedfishMachine, system: Body, signal: AbortSignal): Promise<void> {
    await this.#ejectFrom(machine, await this.#drive(machine, system, signal), signal);
  }

  async #ejectFrom(machine: RedfishMachine, drive: Drive, signal: AbortSignal): Promise<void> {
    if (drive.body['Inserted'] !== true) return;
    await this.#act(machine, drive, 'EjectMedia', signal, {});
    await this.#waitFor(false, machine, drive, signal);
  }

  async #act(
    machine: RedfishMachine,
    { body }: Drive,
    name: string,
    signal: AbortSignal,
    json: object,
  ): Promise<void> {
    const action = objectOf(objectOf(body['Actions'])[`#VirtualMedia.${name}`]);
    const path = linkOf(machine, action['target']);
    await this.#client.send('POST', machine.url, path, { body: json, signal });
  }

  /** Waits, since the response to an action is not the state. */
  async #waitFor(
    isInserted: boolean,
    machine: RedfishMachine,
    { path }: Drive,
    signal: AbortSignal,
  ): Promise<void> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const { body } = await this.#client.get(machine.url, path, signal);
      if ((body['Inserted'] === true) === isInserted) return;
      await sleep(POLL_MS, undefined, { signal });
    }
    const what = isInserted ? 'load its medium' : 'eject its medium';
    throw new ProviderError('unavailable', `the BMC of ${machine.name} does not ${what}`, {
      fix: 'check that it reaches mediaUrl of the provider',
    });
  }

  /** Returns the first drive for USB sticks, of the system or of its managers. */
  async #drive(machine: RedfishMachine, system: Body, signal: AbortSignal): Promise<Drive> {
    const { url } = machine;
    const managers = linksOf(machine, objectOf(system['Links'])['ManagedBy']);
    const owners = [system];
    for (const path of managers) owners.push((await this.#client.get(url, path, signal)).body);
    for (const owner of owners) {
      const collection = objectOf(owner['VirtualMedia'])['@odata.id'];
      if (collection === undefined) continue;
      const { body } = await this.#client.get(url, linkOf(machine, collection), signal);
      for (const path of linksOf(machine, body['Members'])) {
        const drive = await this.#client.get(url, path, signal);
        const types = drive.body['MediaTypes'];
        if (Array.isArray(types) && types.includes('USBStick')) return { path, body: drive.body };
      }
    }
    throw new ProviderError('invalid', `the BMC of ${machine.name} has no virtual USB drive`, {
      fix: 'remove mediaUrl of the provider: the machine boots from the network then',
    });
  }
}
