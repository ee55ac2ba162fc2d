import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestHex, isErrno } from '@lkt/core';
import type { BootFiles } from '@lkt/machine';
import { exists, namesIn } from '@lkt/oci/files';
import { putFile, removeTree } from '@lkt/oci/shared-files';
import { type RawDisk, rawDiskOf } from '../../image/disk-file.ts';
import { keepImage, removeUnusedImages } from '../../image/unused-images.ts';
import type { Node, Power } from '../../node.ts';
import { NAME, type NodeLabels } from '../../node-labels.ts';
import {
  type CallOptions,
  type Capabilities,
  type MachineImage,
  type NodeRequest,
  type Provider,
  ProviderError,
} from '../../provider.ts';
import { withGeneration } from '../generation.ts';
import {
  formatNodeRecord,
  hasGraceEnded,
  type NodeRecord,
  parseNodeRecord,
} from '../node-record.ts';
import { requireSameNode } from '../same-node.ts';
import { bootScript, COMMON_SCRIPT, scriptName } from './boot-scripts.ts';
import type { Machine, PowerControl } from './power-control.ts';

const DISK = 'disk.img';
const POWER_TRIES = 40;
const POWER_POLL_MS = 500;

/** Options of the provider. */
export interface MetalOptions<M extends Machine> {
  /** Absolute path of a directory for this provider alone. */
  readonly dir: string;
  readonly machines: readonly M[];
  readonly power: PowerControl<M>;
  /** URL of the served `boot/`, for machines that boot disks as virtual media. */
  readonly mediaUrl?: string;
  /** Of the machines, where the boot depends on it. */
  readonly firmware?: RawDisk['firmware'];
  readonly warn: (text: string) => void;
}

/**
 * Runs nodes on machines that exist, which boot from the network. A machine keeps nothing of a
 * node, so the directory is the record:
 *
 * - `boot/`: the directory to serve over HTTP. `boot.ipxe` loads `machines/MAC.ipxe`, which loads
 *   from `images/DIGEST/`. Virtual media is `images/DIGEST/disk.img`.
 * - `nodes/NAME.json`: the record of the node on a machine
 * - `generation`: the newest generation of a lease that was seen
 */
export class MetalProvider<M extends Machine> implements Provider {
  readonly capabilities: Capabilities;
  readonly #options: MetalOptions<M>;

  constructor(options: MetalOptions<M>) {
    this.#options = options;
    this.capabilities = {
      fencing: true,
      console: false,
      volumes: false,
      metadata: false,
      machines: options.machines.map(({ name }) => name),
    };
  }

  async prepare(image: MachineImage, options: CallOptions): Promise<string> {
    const id = digestHex(image.digest);
    const disk = this.#options.mediaUrl === undefined ? undefined : this.#diskOf(image);
    const files = disk === undefined ? bootFilesOf(image) : undefined;
    if (files !== undefined) bootScript(id, files);
    await withGeneration(this.#options.dir, options, async () => {
      const target = this.#path('boot', 'images', id);
      const isWhole = disk === undefined || exists(join(target, DISK));
      if (isWhole && (await keepImage(target))) return;
      const temporary = this.#path('images.new');
      await removeTree(temporary);
      await mkdir(temporary, { recursive: true });
      await mkdir(this.#path('boot', 'images'), { recursive: true });
      if (disk !== undefined) await copyFile(disk.path, join(temporary, DISK));
      if (files !== undefined) await copyBootFiles(files, temporary);
      await rename(temporary, target);
      const used = new Set([id]);
      for (const name of this.#names()) {
        const record = await this.#read(name);
        if (record !== undefined) used.add(digestHex(record.labels.image));
      }
      await removeUnusedImages(this.#path('boot', 'images'), used);
    });
    return id;
  }

  async create(request: NodeRequest, options: CallOptions): Promise<void> {
    const { name, labels, template } = request;
    const { power } = this.#options;
    const machine = this.#machine(name);
    if (machine === undefined)
      throw new ProviderError('invalid', `there is no machine ${name}`, {
        fix: `use one of: ${this.capabilities.machines?.join(', ')}`,
      });
    if (template.volumes.length > 0)
      throw new ProviderError('invalid', 'machines of this provider cannot have volumes', {
        fix: 'remove volumes from the group',
      });
    const { mediaUrl } = this.#options;
    const script =
      mediaUrl === undefined
        ? bootScript(request.image, await this.#bootFiles(request.image))
        : undefined;
    await withGeneration(this.#options.dir, options, async () => {
      const existing = await this.#read(name);
      if (existing !== undefined) {
        requireSameNode(name, existing.labels, labels, existing.killAt !== undefined);
        return;
      }
      if (power.isSlow === true && (await power.isOn(machine, options.signal))) {
        await power.off(machine, options.signal);
        throw new ProviderError('unavailable', `the machine ${name} is still on`, {
          fix: 'switch it off',
        });
      }
      if (script !== undefined) {
        this.#put(this.#path('boot', 'boot.ipxe'), COMMON_SCRIPT);
        this.#put(this.#path('boot', 'machines', scriptName(machine.mac)), script);
      }
      // Before the machine starts: a controller that continues has to know of it.
      this.#write(name, { labels, published: new Map() });
      if (await power.isOn(machine, options.signal)) {
        await power.off(machine, options.signal);
        await this.#waitFor(false, machine, options.signal);
      }
      if (mediaUrl === undefined) await power.bootFromNetwork(machine, options.signal);
      else {
        const url = `${mediaUrl}/images/${request.image}/${DISK}`;
        await power.bootFromMedium?.(machine, url, options.signal);
      }
      await power.on(machine, options.signal);
      if (power.isSlow === true) return;
      await this.#waitFor(true, machine, options.signal);
    });
  }

  async destroy(id: string, options: CallOptions & { readonly graceMs: number }): Promise<void> {
    const machine = this.#machine(id);
    if (machine === undefined) return;
    const { power } = this.#options;
    await withGeneration(this.#options.dir, options, async () => {
      const record = await this.#read(id);
      if (record === undefined) return;
      const killAt = record.killAt ?? Date.now() + options.graceMs;
      if (record.killAt === undefined) {
        await rm(this.#path('boot', 'machines', scriptName(machine.mac)), { force: true });
        this.#write(id, { ...record, killAt });
        if (options.graceMs > 0) await power.shutDown(machine, options.signal);
      }
      if (hasGraceEnded(killAt, options.graceMs)) await power.off(machine, options.signal);
      // A BMC may take a while: its response to a command is not the state.
      if (await power.isOn(machine, options.signal)) return;
      if (this.#options.mediaUrl !== undefined) await power.ejectMedium?.(machine, options.signal);
      await rm(this.#record(id));
    });
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Node[]> {
    signal.throwIfAborted();
    const nodes = await Promise.all(
      this.#names().map(async (name) => this.#node(name, fleet, signal)),
    );
    return nodes.filter((node) => node !== undefined);
  }

  async label(id: string, labels: NodeLabels, options: CallOptions): Promise<void> {
    await withGeneration(this.#options.dir, options, async () => {
      const record = await this.#read(id);
      if (record === undefined) throw new ProviderError('missing', `there is no node ${id}`);
      this.#write(id, { ...record, labels });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Returns a node of a fleet. The machines of other fleets are not in its file. */
  async #node(name: string, fleet: string, signal: AbortSignal): Promise<Node | undefined> {
    const record = await this.#read(name);
    if (record?.labels.fleet !== fleet) return undefined;
    const machine = this.#machine(name);
    if (machine === undefined)
      throw new ProviderError(
        'invalid',
        `the machine ${name} has a node, but is not in fleet.yml`,
        {
          fix: `add it again, or remove ${this.#record(name)}`,
        },
      );
    const { labels, published } = record;
    const addresses = machine.address === undefined ? [] : [machine.address];
    const power = await this.#powerOf(machine, record, signal);
    return { id: name, name, power, labels, addresses, published };
  }

  /** Waits until the power is as commanded, for which some controllers take seconds. */
  async #waitFor(isOn: boolean, machine: M, signal: AbortSignal): Promise<void> {
    for (let tries = 0; tries < POWER_TRIES; tries += 1) {
      if ((await this.#options.power.isOn(machine, signal)) === isOn) return;
      await sleep(POWER_POLL_MS, undefined, { signal });
    }
    const power = isOn ? 'on' : 'off';
    throw new ProviderError('unavailable', `the machine ${machine.name} did not switch ${power}`, {
      fix: 'check its management controller',
    });
  }

  async #powerOf(machine: M, { killAt }: NodeRecord, signal: AbortSignal): Promise<Power> {
    if (killAt !== undefined) return 'terminating';
    const { power, warn } = this.#options;
    try {
      if (await power.isOn(machine, signal)) return 'running';
      // It may start yet.
      return power.isSlow === true ? 'pending' : 'stopped';
    } catch (error) {
      // A node may be healthy while its BMC is not: its health check decides.
      if (!(error instanceof ProviderError) || error.failure !== 'unavailable') throw error;
      warn(`${machine.name}: ${error.message}`);
      return 'running';
    }
  }

  #machine(name: string): M | undefined {
    return this.#options.machines.find((machine) => machine.name === name);
  }

  #path(...parts: readonly string[]): string {
    return join(this.#options.dir, ...parts);
  }

  /** Returns the names of the nodes of all fleets. */
  #names(): readonly string[] {
    return namesIn(this.#path('nodes')).map((file) => file.replace(/\.json$/, ''));
  }

  #record(name: string): string {
    return this.#path('nodes', `${NAME.test(name) ? name : 'none'}.json`);
  }

  async #read(name: string): Promise<NodeRecord | undefined> {
    let text: string;
    try {
      text = await readFile(this.#record(name), 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    const record = parseNodeRecord(text);
    if (record !== undefined) return record;
    throw new ProviderError('malformed', `${this.#record(name)} is damaged`, {
      fix: `switch the machine ${name} off, and remove the file`,
    });
  }

  #write(name: string, record: NodeRecord): void {
    this.#put(this.#record(name), `${formatNodeRecord(record)}\n`);
  }

  #put(path: string, text: string): void {
    putFile(this.#path('tmp'), path, text);
  }

  /** @throws ProviderError `invalid` for a disk that the firmware does not boot */
  #diskOf(image: MachineImage): RawDisk {
    const disk = rawDiskOf(image, 'virtual media');
    const { firmware = disk.firmware } = this.#options;
    if (disk.firmware === firmware) return disk;
    const [own, other] = [firmware, disk.firmware].map((one) => one.toUpperCase());
    throw new ProviderError(
      'invalid',
      `the machines have ${own} firmware, and the disk of the image boots by ${other}`,
      {
        fix: `build the format raw-${firmware}, or set firmware: ${disk.firmware} of the provider`,
      },
    );
  }

  async #bootFiles(image: string): Promise<BootFiles> {
    const dir = this.#path('boot', 'images', /^[0-9a-f]+$/.test(image) ? image : 'none');
    if (!exists(dir)) throw new ProviderError('invalid', `the image ${image} was not prepared`);
    const cmdline = await readFile(join(dir, 'cmdline'), 'utf8');
    const initrd = join(dir, 'initrd.img');
    return { kernel: join(dir, 'kernel'), ...(exists(initrd) ? { initrd } : {}), cmdline };
  }
}

/** @throws ProviderError `invalid` for an image whose root is a disk */
function bootFilesOf({ files }: MachineImage): BootFiles {
  if (!('kind' in files) && files.root === undefined) return files;
  throw new ProviderError('invalid', 'machines of this provider cannot boot a disk', {
    fix: 'use the format kernel+initrd',
  });
}

async function copyBootFiles({ kernel, initrd, cmdline }: BootFiles, dir: string): Promise<void> {
  await copyFile(kernel, join(dir, 'kernel'));
  if (initrd !== undefined && (await stat(initrd)).size > 0)
    await copyFile(initrd, join(dir, 'initrd.img'));
  await writeFile(join(dir, 'cmdline'), cmdline);
}
