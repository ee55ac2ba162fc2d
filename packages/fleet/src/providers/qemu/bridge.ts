import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** The kernel's table of IPv4 neighbours. */
const NEIGHBOURS = '/proc/net/arp';
/** Flag of an entry whose hardware address is known (ATF_COM of if_arp.h). */
const COMPLETE = 0x2;
const MAC_BITS = 48n;

/**
 * Returns the hardware address of a node's card.
 * @param first the address of slot 0, if the file fixes it
 */
export function macOf(
  { fleet, name, slot }: { fleet: string; name: string; slot: number | undefined },
  first: string | undefined,
): string {
  if (first === undefined) {
    const hash = createHash('sha256').update(`${fleet}/${name}`).digest('hex');
    return formatMac(BigInt(`0x525400${hash.slice(0, 6)}`));
  }
  return formatMac(BigInt(`0x${first.replaceAll(':', '')}`) + BigInt(slot ?? 0));
}

function formatMac(value: bigint): string {
  const digits = BigInt.asUintN(Number(MAC_BITS), value).toString(16).padStart(12, '0');
  return digits.match(/../g)?.join(':') ?? '';
}

/** Returns the IPv4 addresses on a bridge that this machine knows, by hardware address. */
export async function addressesOn(bridge: string): Promise<ReadonlyMap<string, string>> {
  return parseNeighbours(await readFile(NEIGHBOURS, 'latin1'), bridge);
}

/** Parses Linux's list of neighbours. */
export function parseNeighbours(text: string, bridge: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n').slice(1)) {
    const [address = '', , flags = '', mac = '', , device] = line.trim().split(/\s+/);
    if (device === bridge && (Number(flags) & COMPLETE) !== 0) found.set(mac, address);
  }
  return found;
}
