/** The Ethernet address of no station. */
const STRANGER = '020000000066';

/** An ARP request for IPv4 on Ethernet, without its addresses. */
const ARP_REQUEST = '0001080006040001';

/** Returns an ARP packet of a station that claims an IPv4 address, as an Ethernet frame. */
export function arpClaim(address: string, station: string = STRANGER): string {
  const claimed = Buffer.from(address.split('.').map(Number)).toString('hex');
  const header = `ffffffffffff${station}0806`;
  return `${header}${ARP_REQUEST}${station}${claimed}${'0'.repeat(12)}${claimed}`;
}

/** A router advertisement. */
export interface Advertisement {
  /** The router, by default a link-local address. */
  readonly from?: string;
  readonly hops?: number;
  /** Prefixes of 64 bits for addresses. */
  readonly prefixes?: readonly string[];
  /** Other options, in hexadecimal. */
  readonly options?: string;
}

/** Returns a router advertisement to all nodes, as an Ethernet frame. */
export function advertisement({
  from = 'fe80::66',
  hops = 255,
  prefixes = [],
  options = '',
}: Advertisement): string {
  const information = prefixes.map(
    (prefix) => `030440c0${'00000e10'.repeat(2)}${'0'.repeat(8)}${sixteen(prefix)}`,
  );
  const body = `86000000400807080000000000000000${information.join('')}${options}`;
  const size = (body.length / 2).toString(16).padStart(4, '0');
  const addresses = `${sixteen(from)}${sixteen('ff02::1')}`;
  const message = body.replace(
    /^(.{4})..../,
    `$1${checksum(`${addresses}0000${size}0000003a${body}`)}`,
  );
  const header = `60000000${size}3a${hops.toString(16).padStart(2, '0')}`;
  return `333300000001${STRANGER}86dd${header}${addresses}${message}`;
}

/** Returns the bytes of an IPv6 address, in hexadecimal. */
function sixteen(address: string): string {
  const [head = '', tail] = address.split('::');
  const [first, last] = [groups(head), groups(tail ?? '')];
  return [...first, ...Array<string>(8 - first.length - last.length).fill('0000'), ...last].join(
    '',
  );
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':').map((group) => group.padStart(4, '0'));
}

/** Returns the checksum of RFC 1071 over words in hexadecimal. */
function checksum(words: string): string {
  let sum = (words.match(/..../g) ?? []).reduce(
    (total, word) => total + Number.parseInt(word, 16),
    0,
  );
  while (sum > 0xff_ff) sum = Math.floor(sum / 0x1_00_00) + (sum % 0x1_00_00);
  return (0xff_ff - sum).toString(16).padStart(4, '0');
}
