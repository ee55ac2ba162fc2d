import { mkdtempDisposable, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_CONSOLE_BYTES, ProviderError } from '../../provider.ts';
import type { Virsh } from './virsh.ts';

const UPLOAD_TIMEOUT_MS = 3_600_000;

/** A storage pool of a libvirt host, with the volumes of lkt. */
export class Pool {
  readonly #virsh: Virsh;
  readonly #name: string;

  constructor(virsh: Virsh, name: string) {
    this.#virsh = virsh;
    this.#name = name;
  }

  /** Returns the names of the volumes. */
  async list(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const text = await this.#virsh.run(['vol-list', this.#name], { signal });
    return new Set(
      text.split('\n').flatMap((line) => {
        const [name = ''] = line.trim().split(/\s+/);
        return name.startsWith('lkt-') ? [name] : [];
      }),
    );
  }

  /** Returns when the volumes of a prefix were written, in milliseconds; undefined if unknown. */
  async times(
    prefix: string,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, number | undefined>> {
    const volumes = [...(await this.list(signal))].filter((name) => name.startsWith(prefix));
    const texts = await this.#virsh.batch(
      volumes.map((volume) => ['vol-dumpxml', volume, '--pool', this.#name]),
      { signal },
    );
    return new Map(
      volumes.map((volume, index) => {
        const [, seconds] = /<mtime>(\d{1,12})(?:\.\d+)?<\/mtime>/.exec(texts[index] ?? '') ?? [];
        return [volume, seconds === undefined ? undefined : Number(seconds) * 1000];
      }),
    );
  }

  /** Creates a volume; one that exists stays. */
  async create(volume: string, size: number, signal: AbortSignal): Promise<void> {
    const pool = this.#name;
    const command = ['vol-create-as', pool, volume, String(size), '--format', 'raw'];
    const { code, stderr } = await this.#virsh.try([...command, '--allocation', '0'], { signal });
    if (code === 0 || /exists already/.test(stderr)) return;
    const isFull = /No space left|not enough/i.test(stderr);
    throw new ProviderError(isFull ? 'capacity' : 'unavailable', `libvirt: no volume ${volume}`, {
      cause: stderr.trim().slice(0, 500),
    });
  }

  /** Writes a volume. Two controllers that do so at once write the same bytes. */
  async upload(volume: string, path: string, signal: AbortSignal): Promise<void> {
    const { size } = await stat(path);
    const pool = this.#name;
    await this.create(volume, size, signal);
    await this.#virsh.run(['vol-upload', volume, path, '--pool', pool], {
      signal,
      timeoutMs: UPLOAD_TIMEOUT_MS,
    });
  }

  /** Returns the last bytes of a volume; empty without one. */
  async download(volume: string, signal: AbortSignal): Promise<Buffer> {
    const pool = this.#name;
    const { code, stdout } = await this.#virsh.try(
      ['vol-info', '--bytes', volume, '--pool', pool],
      {
        signal,
      },
    );
    const size = Number(/Capacity:\s+(\d{1,15}) /.exec(stdout)?.[1] ?? 0);
    if (code !== 0 || size === 0) return Buffer.alloc(0);
    const length = Math.min(size, MAX_CONSOLE_BYTES);
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-libvirt-'));
    const path = join(dir.path, 'part');
    const range = ['--offset', String(size - length), '--length', String(length)];
    await this.#virsh.run(['vol-download', volume, path, '--pool', pool, ...range], { signal });
    return (await readFile(path)).subarray(0, MAX_CONSOLE_BYTES);
  }

  /** Deletes a volume, if it exists. The pool knows files of QEMU only after a refresh. */
  async delete(volume: string, signal: AbortSignal): Promise<void> {
    const pool = this.#name;
    const command = ['vol-delete', volume, '--pool', pool];
    if ((await this.#virsh.try(command, { signal })).code === 0) return;
    await this.#virsh.run(['pool-refresh', pool], { signal });
    await this.#virsh.try(command, { signal });
  }
}
