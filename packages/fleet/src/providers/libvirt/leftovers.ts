import { nodeVolume } from './names.ts';
import type { Pool } from './pool.ts';

/** How long files of a node without a domain are kept: the console of a failed boot. */
const KEEP_MS = 600_000;

/** The volumes of nodes that ended by themselves. */
export class Leftovers {
  readonly #pool: Pool;
  /** When each was first seen, by the monotonic clock. */
  #known: ReadonlyMap<string, number> = new Map();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Removes those first seen a while ago, except those of the nodes in `names`. */
  async remove(
    fleet: string,
    {
      names,
      present,
    }: { readonly names: ReadonlySet<string>; readonly present: ReadonlySet<string> },
    signal: AbortSignal,
  ): Promise<void> {
    const prefix = nodeVolume(fleet, '', '').slice(0, -1);
    const now = performance.now();
    const found = new Map<string, number>();
    for (const volume of present) {
      if (!volume.startsWith(prefix)) continue;
      const [name = ''] = volume.slice(prefix.length).split('.');
      if (names.has(name)) continue;
      const since = this.#known.get(volume) ?? now;
      if (now - since > KEEP_MS) await this.#pool.delete(volume, signal);
      else found.set(volume, since);
    }
    this.#known = found;
  }
}
