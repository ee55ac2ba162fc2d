/** The Ethernet address of no station. */
export const STRANGER = '020000000066';

/** An ARP request for IPv4 on Ethernet, without its addresses. */
const ARP_REQUEST = '0001080006040001';

/** Returns an ARP packet of a station that claims an IPv4 address, as an Ethernet frame. */
export function arpClaim(address: string, station: string = STRANGER): string {
  const claimed = Buffer.from(address.split('.').map(Number)).toString('hex');
  const header = `ffffffffffff${station}0806`;
  return `${header}${ARP_REQUEST}${station}${claimed}${'0'.repeat(12)}${claimed}`;
}
