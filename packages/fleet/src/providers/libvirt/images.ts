import { digestFromHex } from '@lkt/core';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { imageVolume } from './names.ts';
import type { Pool } from './pool.ts';
import type { Virsh } from './virsh.ts';

/** The images of a pool: volumes with their parts. */
export class LibvirtImages implements ImageKeeper {
  readonly #virsh: Virsh;
  readonly #pool: Pool;

  constructor(virsh: Virsh, pool: Pool) {
    this.#virsh = virsh;
    this.#pool = pool;
  }

  async list({ signal }: { readonly signal: AbortSignal }): Promise<readonly KeptImage[]> {
    const images = new Map<string, KeptImage>();
    for (const [volume, created] of await this.#pool.times(
      imageVolume('', '').slice(0, -1),
      signal,
    )) {
      const [, id = ''] = volume.split('.');
      const digest = digestFromHex(id);
      // A volume of unknown time may be new.
      const before = images.get(id)?.created ?? 0;
      if (digest !== undefined)
        images.set(id, { id, digest, created: Math.max(before, created ?? Infinity) });
    }
    return [...images.values()];
  }

  async isUsed({ id }: KeptImage, { signal }: { readonly signal: AbortSignal }): Promise<boolean> {
    const text = await this.#virsh.run(['list', '--all', '--uuid'], { signal });
    const ids = text.split('\n').map((line) => line.trim());
    const found = ids.filter((uuid) => /^[0-9a-f-]{36}$/.test(uuid));
    const domains = await this.#virsh.batch(
      found.map((uuid) => ['dumpxml', uuid]),
      { signal },
    );
    // A domain without a description may have ended meanwhile, or use it.
    return domains.some((xml) => xml === '' || xml.includes(imageVolume(id, '')));
  }

  async remove({ id }: KeptImage, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const complete = imageVolume(id, 'complete');
    // Removed first, so that no node uses an incomplete image.
    await this.#pool.delete(complete, signal);
    for (const volume of await this.#pool.list(signal))
      if (volume.startsWith(imageVolume(id, ''))) await this.#pool.delete(volume, signal);
  }
}
