import { randomInt, randomUUID } from 'node:crypto';
import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestHex } from '@lkt/core';
import { type AcceleratorName, bootCmdline, metadataDisk } from '@lkt/machine';
import type { Endpoint, Node, Power } from '../../node.ts';
import { NAME, type NodeLabels } from '../../node-labels.ts';
import {
  type CallOptions,
  type Capabilities,
  type MachineImage,
  type NodeRequest,
  type Provider,
  ProviderError,
} from '../../provider.ts';
import { requireGeneration } from '../fence.ts';
import { formatNodeRecord, hasGraceEnded, type NodeRecord } from '../node-record.ts';
import { requireSameNode } from '../same-node.ts';
import { type DomainDisk, domainXml, parseRecordXml, RECORD_URI, recordXml } from './domain-xml.ts';
import { LibvirtImages } from './images.ts';
import { Leftovers } from './leftovers.ts';
import { domainName, imageVolume, nodeVolume, VOLUME } from './names.ts';
import { Pool } from './pool.ts';
import type { LibvirtSettings } from './settings.ts';
import { parseAddresses, Virsh } from './virsh.ts';

const MAX_DISKS = 20;
const PORT_TRIES = 5;
const LIST_TRIES = 3;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A domain of a fleet, as libvirt lists it. */
interface Domain {
  readonly uuid: string;
  /** Name of the node. */
  readonly name: string;
}

/**
 * Runs nodes as transient domains of a libvirt host, local or remote. Everything is at the host:
 *
 * - `lkt.FLEET.NODE`, a domain; the record is in its metadata. Libvirt atomically rejects a second
 *   domain of a name, so the name is a lock.
 * - `lkt-image.DIGEST.*`, volumes of the pool: kernel, initrd or root, command line. `complete` is
 *   created last.
 * - `lkt-node.FLEET.NODE.*`, volumes: console and metadata disk of a node
 * - `lkt-volume.NAME`, volumes that stay
 */
export class LibvirtProvider implements Provider {
  readonly capabilities: Capabilities = {
    fencing: false,
    console: true,
    volumes: true,
    metadata: true,
  };
  readonly images: LibvirtImages;
  readonly #settings: LibvirtSettings;
  readonly #virsh: Virsh;
  readonly #pool: Pool;
  /** Directory of the pool at the host. */
  readonly #directory: string;
  readonly #accelerator: AcceleratorName;
  readonly #leftovers: Leftovers;

  private constructor(
    settings: LibvirtSettings,
    virsh: Virsh,
    host: { readonly directory: string; readonly accelerator: AcceleratorName },
  ) {
    this.#settings = settings;
    this.#virsh = virsh;
    this.#pool = new Pool(virsh, settings.pool);
    this.images = new LibvirtImages(virsh, this.#pool);
    this.#leftovers = new Leftovers(this.#pool);
    this.#directory = host.directory;
    this.#accelerator = host.accelerator;
  }

  /** Connects to the host, and requires the pool. @throws ProviderError, TOOL_MISSING */
  static async open(settings: LibvirtSettings, signal: AbortSignal): Promise<LibvirtProvider> {
    const virsh = new Virsh(settings.uri);
    const pool = await virsh.run(['pool-dumpxml', settings.pool], { signal });
    const [, directory] = /<path>([^<&]{1,1024})<\/path>/.exec(pool) ?? [];
    if (!pool.startsWith("<pool type='dir'>") || directory?.startsWith('/') !== true)
      throw new ProviderError('invalid', `the pool ${settings.pool} is not of type dir`, {
        fix: `create one: virsh -c '${settings.uri}' pool-create-as lkt dir --target DIRECTORY`,
      });
    const accelerator = await chooseAccelerator(virsh, settings.accelerator, signal);
    return new LibvirtProvider(settings, virsh, { directory, accelerator });
  }

  async prepare({ digest, files }: MachineImage, options: CallOptions): Promise<string> {
    if ('kind' in files)
      throw new ProviderError('invalid', `libvirt cannot boot ${files.path}`, {
        fix: 'use the format kernel+initrd',
      });
    const id = digestHex(digest);
    const present = await this.#pool.list(options.signal);
    if (present.has(imageVolume(id, 'complete'))) return id;
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-libvirt-'));
    const cmdline = join(dir.path, 'cmdline');
    // A volume of no bytes cannot be downloaded.
    await writeFile(cmdline, `${files.cmdline}\n`);
    const parts = { kernel: files.kernel, initrd: files.initrd, root: files.root, cmdline };
    for (const [part, path] of Object.entries(parts))
      if (path !== undefined && (await stat(path)).size > 0)
        await this.#pool.upload(imageVolume(id, part), path, options.signal);
    await this.#pool.create(imageVolume(id, 'complete'), 0, options.signal);
    return id;
  }

  async create(request: NodeRequest, options: CallOptions): Promise<void> {
    const { name, labels, template } = request;
    const { signal } = options;
    if (!NAME.test(name)) throw new ProviderError('invalid', `"${name}" is not a valid node name`);
    const present = await this.#pool.list(signal);
    if (!/^[0-9a-f]+$/.test(request.image) || !present.has(imageVolume(request.image, 'complete')))
      throw new ProviderError('invalid', `the image ${request.image} was not prepared`);
    const domains = await this.#domains(labels.fleet, signal);
    if (await this.#exists(domains, name, labels, signal)) return;
    this.#requireRoom(domains.length);
    const names = new Set([name, ...domains.map((domain) => domain.name)]);
    await this.#leftovers.remove(labels.fleet, { names, present }, signal);
    const disks = await this.#disks(request, present, signal);
    const image = (part: string): string | undefined =>
      present.has(imageVolume(request.image, part))
        ? join(this.#directory, imageVolume(request.image, part))
        : undefined;
    const cmdline = await this.#pool.download(imageVolume(request.image, 'cmdline'), signal);
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-libvirt-'));
    const file = join(dir.path, 'domain.xml');
    for (let tries = 1; ; tries += 1) {
      const published = this.#choosePorts(template.publish);
      const xml = domainXml({
        name: domainName(labels.fleet, name),
        uuid: randomUUID(),
        record: formatNodeRecord({ labels, published }),
        cpus: template.cpus,
        memory: template.memory,
        accelerator: this.#accelerator,
        kernel: image('kernel') ?? '',
        initrd: image('initrd'),
        cmdline: bootCmdline(cmdline.toString('utf8').trim(), this.#accelerator),
        console: join(this.#directory, nodeVolume(labels.fleet, name, 'console')),
        pool: this.#settings.pool,
        disks,
        network: this.#network(),
        published,
      });
      await writeFile(file, xml);
      try {
        await this.#virsh.run(['create', '--validate', file], { signal });
        return;
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        if (error.failure === 'conflict') {
          const now = await this.#domains(labels.fleet, signal);
          if (await this.#exists(now, name, labels, signal)) return;
        }
        // Another process has one of the ports: others may be free.
        if (!/bind port/.test(error.message) || tries === PORT_TRIES) throw error;
      }
    }
  }

  async destroy(id: string, options: CallOptions & { readonly graceMs: number }): Promise<void> {
    const { signal } = options;
    const domain = await this.#find(id, signal);
    if (domain === undefined) return;
    const { name, record } = domain;
    requireGeneration(name, record.labels, options);
    const killAt = record.killAt ?? Date.now() + options.graceMs;
    if (record.killAt === undefined) {
      await this.#write(id, { ...record, killAt }, signal);
      if (options.graceMs > 0)
        await this.#virsh.try(['shutdown', id, '--mode', 'acpi'], { signal });
    }
    if (!hasGraceEnded(killAt, options.graceMs)) return;
    const { code, stderr } = await this.#virsh.try(['destroy', id], { signal });
    if (code !== 0 && (await this.#find(id, signal)) !== undefined)
      throw new ProviderError('unavailable', `libvirt does not destroy ${name}`, { cause: stderr });
    const { fleet } = record.labels;
    for (const part of ['console', 'metadata'])
      await this.#pool.delete(nodeVolume(fleet, name, part), signal);
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Node[]> {
    for (let tries = 1; ; tries += 1) {
      const domains = await this.#domains(fleet, signal);
      const nodes = await this.#nodes(domains, signal);
      const missing = domains.filter((_, index) => nodes[index] === undefined);
      if (missing.length === 0) return nodes.filter((node) => node !== undefined);
      // They ended meanwhile, or libvirt failed: list again to find out.
      if (tries === LIST_TRIES)
        throw new ProviderError(
          'malformed',
          `libvirt lists ${missing[0]?.name} without its record`,
          {
            fix: `if lkt did not create the domain, rename it`,
          },
        );
      await sleep(100, undefined, { signal });
    }
  }

  async label(id: string, labels: NodeLabels, options: CallOptions): Promise<void> {
    const domain = await this.#find(id, options.signal);
    if (domain === undefined) throw new ProviderError('missing', `there is no node ${id}`);
    requireGeneration(domain.name, domain.record.labels, options);
    await this.#write(id, { ...domain.record, labels }, options.signal);
  }

  async console(id: string, { signal }: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const domain = await this.#find(id, signal);
    if (domain === undefined) return new Uint8Array();
    const volume = nodeVolume(domain.record.labels.fleet, domain.name, 'console');
    await this.#virsh.run(['pool-refresh', this.#settings.pool], { signal });
    return this.#pool.download(volume, signal);
  }

  async volumes(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    return [...(await this.#pool.list(signal))]
      .filter((name) => name.startsWith(`${VOLUME}${fleet}.`))
      .map((name) => name.slice(VOLUME.length))
      .toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Returns the domains of a fleet. */
  async #domains(fleet: string, signal: AbortSignal): Promise<readonly Domain[]> {
    const prefix = domainName(fleet, '');
    const text = await this.#virsh.run(['list', '--all', '--uuid', '--name'], { signal });
    return text.split('\n').flatMap((line) => {
      const [uuid = '', domain = ''] = line.trim().split(/\s+/);
      const name = domain.slice(prefix.length);
      if (!domain.startsWith(prefix) || !UUID.test(uuid) || !NAME.test(name)) return [];
      return [{ uuid, name }];
    });
  }

  /** Returns the nodes of domains; undefined for one that libvirt does not describe. */
  async #nodes(
    domains: readonly Domain[],
    signal: AbortSignal,
  ): Promise<readonly (Node | undefined)[]> {
    const { network, bridge } = this.#settings;
    const source = network === undefined ? 'arp' : 'lease';
    const hasAddress = network !== undefined || bridge !== undefined;
    const texts = await this.#virsh.batch(
      domains.flatMap(({ uuid }) => [
        ['domstate', uuid],
        ['metadata', uuid, RECORD_URI],
        hasAddress ? ['domifaddr', uuid, '--source', source] : ['domid', uuid],
      ]),
      { signal },
    );
    return domains.map(({ uuid, name }, index) => {
      const [state = '', metadata = '', addresses = ''] = texts.slice(3 * index);
      const record = parseRecordXml(metadata);
      if (record === undefined || state === '') return undefined;
      const { labels, published } = record;
      const found = hasAddress ? parseAddresses(addresses) : [];
      return {
        id: uuid,
        name,
        power: powerOf(state, record),
        labels,
        addresses: found,
        published,
      };
    });
  }

  /** Returns the name and record of a domain by its id; undefined without one. */
  async #find(
    id: string,
    signal: AbortSignal,
  ): Promise<{ readonly name: string; readonly record: NodeRecord } | undefined> {
    signal.throwIfAborted();
    if (!UUID.test(id)) return undefined;
    const { code, stdout, stderr } = await this.#virsh.try(['domname', id], { signal });
    if (code !== 0) {
      if (/failed to get domain|Domain not found/.test(stderr)) return undefined;
      throw new ProviderError('unavailable', `libvirt does not describe ${id}`, { cause: stderr });
    }
    const metadata = await this.#virsh.try(['metadata', id, RECORD_URI], { signal });
    const record = parseRecordXml(metadata.stdout.trim());
    const [, fleet, name] = /^lkt\.([^.]+)\.([^.]+)$/.exec(stdout.trim()) ?? [];
    if (record !== undefined && record.labels.fleet === fleet && name !== undefined)
      return { name, record };
    if (/Domain not found|failed to get domain/.test(metadata.stderr)) return undefined;
    throw new ProviderError('malformed', `the domain ${stdout.trim()} has no record of lkt`);
  }

  /**
   * Reports whether a node exists as wanted.
   * @throws ProviderError `conflict` or `invalid` if another one has the name
   */
  async #exists(
    domains: readonly Domain[],
    name: string,
    labels: NodeLabels,
    signal: AbortSignal,
  ): Promise<boolean> {
    const domain = domains.find((one) => one.name === name);
    const record =
      domain === undefined ? undefined : (await this.#find(domain.uuid, signal))?.record;
    if (record === undefined) return false;
    requireSameNode(name, record.labels, labels, record.killAt !== undefined);
    return true;
  }

  async #write(id: string, record: NodeRecord, signal: AbortSignal): Promise<void> {
    const xml = recordXml(formatNodeRecord(record)).replace(/ xmlns:lkt='[^']*'/, '');
    const set = ['--live', '--key', 'lkt', '--set', xml.replaceAll('lkt:node', 'node')];
    await this.#virsh.run(['metadata', id, RECORD_URI, ...set], { signal });
  }

  /** Returns the disks of a node, of which those without content are created. */
  async #disks(
    { name, labels, image, template, metadata }: NodeRequest,
    present: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<readonly DomainDisk[]> {
    const disks: DomainDisk[] = [];
    const root = imageVolume(image, 'root');
    if (present.has(root)) disks.push({ volume: root, serial: 'root', isReadOnly: true });
    if (template.volumes.length > MAX_DISKS)
      throw new ProviderError('invalid', `a node has at most ${MAX_DISKS} volumes`);
    const add = (volume: string, isReadOnly: boolean, index: number): void => {
      disks.push({ volume, serial: `disk${index}`, isReadOnly });
    };
    for (const [index, { name: own, size }] of template.volumes.entries()) {
      if (!/^[a-z0-9.-]{1,200}$/.test(own))
        throw new ProviderError('invalid', `"${own}" is not a valid volume name`);
      if (!present.has(`${VOLUME}${own}`)) await this.#pool.create(`${VOLUME}${own}`, size, signal);
      add(`${VOLUME}${own}`, false, index);
    }
    if (metadata === undefined) return disks;
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-libvirt-'));
    const file = join(dir.path, 'metadata.iso');
    await writeFile(file, metadataDisk(metadata), { mode: 0o600 });
    const volume = nodeVolume(labels.fleet, name, 'metadata');
    // The metadata of an earlier node of this name may be longer.
    if (present.has(volume)) await this.#pool.delete(volume, signal);
    await this.#pool.upload(volume, file, signal);
    add(volume, true, template.volumes.length);
    return disks;
  }

  #network(): { readonly network: string } | { readonly bridge: string } | undefined {
    const { network, bridge } = this.#settings;
    if (network !== undefined) return { network };
    return bridge === undefined ? undefined : { bridge };
  }

  #choosePorts(ports: readonly number[]): ReadonlyMap<number, Endpoint> {
    const { address: host, firstPort, lastPort } = this.#settings;
    if (this.#network() !== undefined) return new Map();
    const start = randomInt(firstPort, lastPort + 1);
    const count = lastPort - firstPort + 1;
    const portAt = (index: number): number => firstPort + ((start - firstPort + index) % count);
    return new Map(ports.map((guestPort, index) => [guestPort, { host, port: portAt(index) }]));
  }

  #requireRoom(count: number): void {
    const { maxNodes } = this.#settings;
    if (maxNodes === undefined || count < maxNodes) return;
    throw new ProviderError('capacity', `the host runs ${count} nodes, and may run no more`, {
      fix: 'raise maxNodes of the provider',
    });
  }
}

function powerOf(state: string, { killAt }: NodeRecord): Power {
  if (killAt !== undefined) return 'terminating';
  return ['running', 'idle', 'in shutdown'].includes(state) ? 'running' : 'stopped';
}

async function chooseAccelerator(
  virsh: Virsh,
  wanted: LibvirtSettings['accelerator'],
  signal: AbortSignal,
): Promise<AcceleratorName> {
  if (wanted !== 'auto') return wanted;
  // Needs only a right to read, unlike domcapabilities.
  const text = await virsh.run(['capabilities'], { signal });
  return /<domain type='kvm'/.test(text) ? 'kvm' : 'tcg';
}
