import { join } from 'node:path';
import { digestHex, digestOf, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';

/** An index that was read now: the address and suite that it was asked of, and its signed date. */
export interface ReadIndex {
  /** Name of the index, for messages. */
  readonly what: string;
  readonly address: string;
  readonly suite: string;
  readonly date: Date | undefined;
}

/** No cache area: pruning would forget the dates. */
const DIRECTORY = 'debian-indexes';

/** Tolerance for the clock of this machine; time zones differ by up to 14 hours. */
const CLOCK_TOLERANCE_MS = 86_400_000;

/**
 * Compares the signed date of an index with the newest one that this store has seen from the same
 * address for the same suite, and keeps the newer. Returns an error for an older index, as from a
 * mirror that lags or withholds updates, and for one with a time to come, which is not kept.
 *
 * Another address starts anew: its mirror may be updated less often. A date without the right seal
 * counts as missing.
 */
export async function checkIndexDate(
  store: Store,
  { what, address, suite, date }: ReadIndex,
  now: Date,
): Promise<LktError | undefined> {
  if (date !== undefined && date.getTime() > now.getTime() + CLOCK_TOLERANCE_MS)
    return new LktError('OUTDATED', `${what} is of ${shown(date)}, after this machine's time`, {
      cause: new Error(`the clock of this machine says ${shown(now)}`),
      fix: 'set the clock of this machine',
    });
  const name = digestHex(digestOf(`${address}\n${suite}`));
  const path = join(store.dir, DIRECTORY, name);
  return store.withLock(`${DIRECTORY}-${name}`, async () => {
    const newest = parseDate(store.sealed.read(path));
    if (newest !== undefined && (date === undefined || date < newest)) {
      const state = date === undefined ? 'has no date' : `is of ${shown(date)}`;
      return new LktError('OUTDATED', `${what} at ${address} is older than one read before`, {
        cause: new Error(
          `it ${state}, the earlier one is of ${shown(newest)}: the mirror lags behind, or withholds updates`,
        ),
        fix: `try again later, or set LKT_DEBIAN_MIRROR to another mirror; to accept it, remove ${path}`,
      });
    }
    if (date !== undefined && (newest === undefined || date > newest))
      await store.putSealed(path, date.toISOString());
    return undefined;
  });
}

function parseDate(text: string | undefined): Date | undefined {
  const date = new Date(text ?? '');
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function shown(date: Date): string {
  return date.toISOString();
}
