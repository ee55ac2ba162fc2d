import { copyFile, mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex, isErrno, LktError } from '@lkt/core';
import {
  type BootFiles,
  type Disk,
  isMachineRunning,
  killForgottenMachines,
  killMachine,
  metadataDisk,
  powerDown,
  resolveHostPort,
  startDetached,
} from '@lkt/machine';
import { namesIn } from '@lkt/oci/files';
import { putFile, removeTree } from '@lkt/oci/shared-files';
import { keepImage, removeUnusedImages } from '../../image/unused-images.ts';
import type { Endpoint, Node } from '../../node.ts';
import { NAME } from '../../node-labels.ts';
import {
  type CallOptions,
  type Capabilities,
  type GroupMachines,
  type GroupProblem,
  MAX_CONSOLE_BYTES,
  type MachineImage,
  type NodeRequest,
  type Provider,
  ProviderError,
} from '../../provider.ts';
import { withGeneration } from '../generation.ts';
import { formatNodeRecord, hasGraceEnded, type NodeRecord } from '../node-record.ts';
import { requireSameNode } from '../same-node.ts';
import { addressesOn, macOf } from './bridge.ts';
import { qemuProblem } from './group-problem.ts';
import { filesOf, readRecord, RECORD, toNode } from './node-record.ts';
import type { QemuGroupSettings, QemuSettings } from './settings.ts';

const LOOPBACK = '127.0.0.1';

/** Options of the provider beside its settings. */
export interface QemuOptions extends QemuSettings {
  /** Absolute path of a directory for this provider alone. */
  readonly dir: string;
}

/**
 * Runs nodes as QEMU processes of this machine. They survive the controller. The state is beside
 * them, in a directory:
 *
 * - `nodes/NAME`: the record with the labels, QEMU's files, the console, and the metadata disk
 * - `images/DIGEST`: kernels, initrds and command lines
 * - `volumes/NAME.img`: disks that stay
 * - `generation`: the newest generation of a lease that was seen
 *
 * A node that was destroyed leaves nothing but its volumes. If someone removes the directory of a
 * node, its process ends when the next node is created.
 */
export class QemuProvider implements Provider {
  readonly capabilities: Capabilities = {
    fencing: true,
    console: true,
    volumes: true,
    metadata: true,
  };
  readonly #options: QemuOptions;

  constructor(options: QemuOptions) {
    this.#options = options;
  }

  readonly check = (machines: GroupMachines): GroupProblem | undefined =>
    qemuProblem(machines, this.#options.bridge);

  async prepare({ digest, files }: MachineImage, options: CallOptions): Promise<string> {
    if ('kind' in files)
      throw new ProviderError('invalid', `qemu cannot boot ${files.path}`, {
        fix: 'use the format kernel+initrd',
      });
    const id = digestHex(digest);
    await this.#change(options, async () => {
      const target = this.#path('images', id);
      if (await keepImage(target)) return;
      const temporary = `${target}.new`;
      await removeTree(temporary);
      await mkdir(temporary, { recursive: true });
      await copyFile(files.kernel, join(temporary, 'kernel'));
      if (files.initrd !== undefined) await copyFile(files.initrd, join(temporary, 'initrd.img'));
      if (files.root !== undefined) await copyFile(files.root, join(temporary, 'root.img'));
      await writeFile(join(temporary, 'cmdline'), files.cmdline);
      await rename(temporary, target);
      await removeUnusedImages(this.#path('images'), new Set([id, ...(await this.#usedImages())]));
    });
    return id;
  }

  async create(request: NodeRequest, options: CallOptions): Promise<void> {
    const { name, labels, template } = request;
    if (!NAME.test(name)) throw new ProviderError('invalid', `"${name}" is not a valid node name`);
    const files = await this.#bootFiles(request.image);
    this.#requireFit(request);
    const hostPorts = fixedPorts(request);
    const mac = this.#mac(request);
    requireSocketPath(filesOf(this.#path('nodes', name)).qmp);
    await this.#change(options, async () => {
      const dir = this.#path('nodes', name);
      const known = new Set(namesIn(this.#path('nodes')));
      killForgottenMachines(this.#path('nodes'), (one) => known.has(one));
      const existing = await readRecord(dir);
      if (existing !== undefined) {
        const { killAt, labels: own } = existing;
        const hasEnded = killAt !== undefined && !isMachineRunning(filesOf(dir));
        if (!hasEnded || own.fleet !== labels.fleet) {
          requireSameNode(name, own, labels, killAt !== undefined);
          return;
        }
      }
      await this.#requireRoom();
      const published = await publishedPorts(mac === undefined ? template.publish : [], hostPorts);
      await removeTree(dir);
      await mkdir(dir, { recursive: true });
      const disks: (Disk & { readonly path: string })[] = [];
      await mkdir(this.#path('volumes'), { recursive: true });
      for (const { name: volume, size } of template.volumes)
        disks.push({ path: this.#path('volumes', `${volume}.img`), size, format: 'raw' });
      if (request.metadata !== undefined) {
        const path = join(dir, 'metadata.iso');
        await writeFile(path, metadataDisk(request.metadata), { mode: 0o600 });
        disks.push({ path, format: 'raw' });
      }
      this.#write(dir, { labels, published, ...(mac === undefined ? {} : { mac }) });
      try {
        await startDetached({
          files,
          memory: template.memory,
          cpus: template.cpus,
          disks,
          network: mac === undefined ? true : { bridge: this.#options.bridge ?? '', mac },
          publish: [...published].map(([guestPort, { host, port }]) => ({
            address: host,
            hostPort: port,
            guestPort,
            protocol: 'tcp' as const,
          })),
          detached: filesOf(dir),
          accelerator: this.#options.accelerator,
          acceleratorCache: this.#path('kvm.json'),
        });
      } catch (error) {
        await removeTree(dir);
        throw startError(name, error);
      }
    });
  }

  async destroy(id: string, options: CallOptions & { readonly graceMs: number }): Promise<void> {
    if (!NAME.test(id)) return;
    await this.#change(options, async () => {
      const dir = this.#path('nodes', id);
      const record = await readRecord(dir);
      if (record === undefined) return;
      const files = filesOf(dir);
      const killAt = record.killAt ?? Date.now() + options.graceMs;
      if (record.killAt === undefined) {
        this.#write(dir, { ...record, killAt });
        if (options.graceMs > 0) await powerDown(files);
      }
      if (hasGraceEnded(killAt, options.graceMs)) killMachine(files);
      if (!isMachineRunning(files)) await removeTree(dir);
    });
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Node[]> {
    const { bridge } = this.#options;
    const known = bridge === undefined ? new Map<string, string>() : await addressesOn(bridge);
    const nodes: Node[] = [];
    for (const name of namesIn(this.#path('nodes'))) {
      signal.throwIfAborted();
      const dir = this.#path('nodes', name);
      const record = await readRecord(dir);
      if (record === undefined || record.labels.fleet !== fleet) continue;
      // A terminating node stays until a second `destroy` removes its directory.
      nodes.push(toNode(dir, name, record, known));
    }
    return nodes;
  }

  async label(id: string, labels: NodeRecord['labels'], options: CallOptions): Promise<void> {
    await this.#change(options, async () => {
      const dir = this.#path('nodes', NAME.test(id) ? id : 'none');
      const record = await readRecord(dir);
      if (record === undefined) throw new ProviderError('missing', `there is no node ${id}`);
      this.#write(dir, { ...record, labels });
    });
  }

  async console(id: string): Promise<Uint8Array> {
    if (!NAME.test(id)) return new Uint8Array();
    try {
      await using file = await open(filesOf(this.#path('nodes', id)).console);
      const { size } = await file.stat();
      const length = Math.min(size, MAX_CONSOLE_BYTES);
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await file.read(bytes, 0, length, size - length);
      return bytes.subarray(0, bytesRead);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return new Uint8Array();
      throw error;
    }
  }

  async volumes(fleet: string): Promise<readonly string[]> {
    return namesIn(this.#path('volumes'))
      .filter((name) => name.startsWith(`${fleet}.`) && name.endsWith('.img'))
      .map((name) => name.slice(0, -'.img'.length))
      .toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Returns the images that nodes of all fleets run. */
  async #usedImages(): Promise<readonly string[]> {
    const used: string[] = [];
    for (const name of namesIn(this.#path('nodes'))) {
      const record = await readRecord(this.#path('nodes', name));
      if (record !== undefined) used.push(digestHex(record.labels.image));
    }
    return used;
  }

  #path(...parts: readonly string[]): string {
    return join(this.#options.dir, ...parts);
  }

  #write(dir: string, record: NodeRecord): void {
    putFile(this.#path('tmp'), join(dir, RECORD), `${formatNodeRecord(record)}\n`);
  }

  async #change(options: CallOptions, run: () => Promise<void>): Promise<void> {
    try {
      await withGeneration(this.#options.dir, options, run);
    } catch (cause) {
      if (!isErrno(cause, 'ENOSPC', 'EDQUOT')) throw cause;
      throw new ProviderError('capacity', `there is no space left for ${this.#options.dir}`, {
        cause,
        fix: 'make space on its file system; images that no node runs are removed after a week',
      });
    }
  }

  /** Returns the hardware address of a node's card on the bridge; undefined without a bridge. */
  #mac({ settings, labels, name }: NodeRequest): string | undefined {
    const { mac } = (settings ?? {}) as Partial<QemuGroupSettings>;
    const { fleet, slot } = labels;
    return this.#options.bridge === undefined ? undefined : macOf({ fleet, name, slot }, mac);
  }

  #requireFit({ settings, labels, template }: NodeRequest): void {
    const hasSlots = labels.slot !== undefined;
    const problem = this.check({ ...template, size: 1, hasSlots, settings });
    if (problem === undefined) return;
    const { message, fix } = problem;
    throw new ProviderError('invalid', message, { fix });
  }

  async #requireRoom(): Promise<void> {
    const { maxNodes } = this.#options;
    const count = namesIn(this.#path('nodes')).length;
    if (maxNodes !== undefined && count >= maxNodes)
      throw new ProviderError('capacity', `this machine runs ${count} nodes, and may run no more`, {
        fix: 'raise maxNodes of the provider',
      });
  }

  async #bootFiles(image: string): Promise<BootFiles> {
    const dir = this.#path('images', /^[0-9a-f]+$/.test(image) ? image : 'none');
    if (!(await isDirectory(dir)))
      throw new ProviderError('invalid', `the image ${image} was not prepared`);
    const cmdline = await readFile(join(dir, 'cmdline'), 'utf8');
    const [initrd, root] = [join(dir, 'initrd.img'), join(dir, 'root.img')];
    return {
      kernel: join(dir, 'kernel'),
      ...((await isFile(initrd)) ? { initrd } : {}),
      ...((await isFile(root)) ? { root } : {}),
      cmdline,
    };
  }
}

/** Maximum bytes of the path of a socket (unix(7)). */
const MAX_SOCKET_BYTES = 107;

function requireSocketPath(path: string): void {
  if (Buffer.byteLength(path) > MAX_SOCKET_BYTES)
    throw new ProviderError('invalid', `the path ${path} is too long for a socket`, {
      fix: 'name a directory with a shorter path: state',
    });
}

/** Returns the host ports that the group's settings fix for a slot, by port of the guest. */
function fixedPorts({ settings, labels }: NodeRequest): ReadonlyMap<number, number> {
  const { ports = new Map<number, number>() } = (settings ?? {}) as Partial<QemuGroupSettings>;
  return new Map([...ports].map(([guest, host]) => [guest, host + (labels.slot ?? 0)]));
}

async function publishedPorts(
  ports: readonly number[],
  hostPorts: ReadonlyMap<number, number>,
): Promise<ReadonlyMap<number, Endpoint>> {
  const published = new Map<number, Endpoint>();
  for (const guestPort of ports) {
    const free = { address: LOOPBACK, hostPort: hostPorts.get(guestPort) ?? 0, guestPort };
    const { hostPort } = await resolveHostPort({ ...free, protocol: 'tcp' }).catch(portTaken);
    published.set(guestPort, { host: LOOPBACK, port: hostPort });
  }
  return published;
}

function portTaken(cause: unknown): never {
  if (!(cause instanceof LktError)) throw cause;
  throw new ProviderError('unavailable', cause.message, { cause });
}

/** A taken port or too little memory may change by the next attempt. */
function startError(name: string, cause: unknown): unknown {
  if (!(cause instanceof LktError) || cause.code !== 'RUN_FAILED') return cause;
  if (/bridge/.test(cause.message))
    return new ProviderError('denied', `node ${name} cannot join the bridge`, {
      cause,
      fix: 'create the bridge, and allow it to this user, as docs/fleet/qemu.md does',
    });
  if (/\bSMP CPUs\b/.test(cause.message))
    return new ProviderError('invalid', `node ${name} has more processors than QEMU emulates`, {
      cause,
      fix: 'lower the cpus of the template',
    });
  const failure = /memory/.test(cause.message) ? 'capacity' : 'unavailable';
  return new ProviderError(failure, `node ${name} did not start`, { cause });
}

async function isDirectory(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory() === true;
}

async function isFile(path: string): Promise<boolean> {
  return (await statOf(path))?.isFile() === true;
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
