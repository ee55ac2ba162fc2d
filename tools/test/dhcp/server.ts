import { createSocket } from 'node:dgram';
import { four, parse, type Reply, type Request, seconds, write } from './message.ts';

// A DHCP server whose behaviour is an argument: `node server.ts ADDRESS BEHAVIOUR`. Prints a line
// for each message that it receives.

const [, , own = '', word = ''] = process.argv;
// The namespace has no route to 255.255.255.255; this address reaches all stations too.
const subnet = own.slice(0, own.lastIndexOf('.'));
const BROADCAST = `${subnet}.255`;
const OFFER = 2;
const ACK = 5;
const NAK = 6;
const FIRST = `${subnet}.50`;
const SECOND = `${subnet}.51`;
const CAPTURED = [
  '10.77.0.0/24',
  '10.77.0.128/25',
  '198.51.100.0/24',
  '198.51.100.7/32',
  '10.99.0.0/25',
];
const kinds = ['', 'discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release'];

const socket = createSocket({ type: 'udp4', reuseAddr: true });
let granted = 0;
let declined = false;

/** Returns a valid reply. `times` are the lease, T1 and T2, in seconds. */
function answer(request: Request, type: number, yiaddr: string, times: readonly number[]): Reply {
  const [lease = 0, t1 = 0, t2 = 0] = times;
  const { xid, hardware } = request;
  const options = [
    { code: 54, value: four(own) },
    { code: 1, value: [255, 255, 255, 0] },
    { code: 3, value: four(`${subnet}.1`) },
    { code: 51, value: seconds(lease) },
    { code: 58, value: seconds(t1) },
    { code: 59, value: seconds(t2) },
  ];
  return { type, xid, hardware, yiaddr, options };
}

function nak({ xid, hardware }: Request, server = own): Reply {
  const options = [{ code: 54, value: four(server) }];
  return { type: NAK, xid, hardware, yiaddr: '0.0.0.0', options };
}

/** The replies to a message, in order, by behaviour. */
const behaviours: Readonly<Record<string, (request: Request) => readonly Reply[]>> = {
  // Grants one lease of ten seconds, then is silent.
  once: (request) => {
    if (granted > 0) return [];
    if (request.type === 1) return [answer(request, OFFER, FIRST, [10])];
    granted += 1;
    return [answer(request, ACK, FIRST, [10])];
  },
  // Grants one longer lease with an early T1, then is silent.
  leaves: (request) => {
    if (granted > 0) return [];
    if (request.type === 1) return [answer(request, OFFER, FIRST, [60, 5, 8])];
    granted += 1;
    return [answer(request, ACK, FIRST, [60, 5, 8])];
  },
  // Grants and renews leases.
  grants: (request) => [answer(request, request.type === 1 ? OFFER : ACK, FIRST, [60, 5, 8])],
  // Grants leases with names and time servers.
  names: (request) => {
    const reply = answer(request, request.type === 1 ? OFFER : ACK, FIRST, [60, 5, 8]);
    const search = [...Buffer.from('\u0003eng\u0007example\u0003org\0'), 0xc0, 4];
    const more = [
      { code: 6, value: four('10.99.0.1') },
      { code: 12, value: [...Buffer.from('web-1')] },
      { code: 42, value: [...four('10.99.0.4'), ...four('10.99.0.5')] },
      { code: 119, value: search },
    ];
    return [{ ...reply, options: [...reply.options, ...more] }];
  },
  // Offers nothing, but renews every lease.
  prolongs: (request) =>
    request.ciaddr === '0.0.0.0' ? [] : [answer(request, ACK, request.ciaddr, [60, 5, 8])],
  // Rejects the first renewal, then grants another address.
  refuses: (request) => {
    const address = granted > 1 ? SECOND : FIRST;
    if (request.type === 1) return [answer(request, OFFER, address, [60, 5, 8])];
    granted += 1;
    return granted === 2 ? [nak(request)] : [answer(request, ACK, address, [60, 5, 8])];
  },
  // Offers an address that a neighbour uses, and another one once it is declined.
  conflict: (request) => {
    const address = declined ? SECOND : FIRST;
    if (request.type === 4) declined = true;
    if (request.type === 1) return [answer(request, OFFER, address, [60])];
    return request.type === 3 ? [answer(request, ACK, address, [60])] : [];
  },
  // Routes for networks that a tunnel and static routes already reach (CVE-2024-3661), and others.
  captures: (request) => {
    const renewal = request.ciaddr !== '0.0.0.0';
    const to = renewal
      ? ['0.0.0.0/0', '203.0.113.0/24']
      : ['0.0.0.0/0', ...CAPTURED, '192.0.2.0/24', '172.16.0.0/12'];
    const reply = answer(request, request.type === 1 ? OFFER : ACK, FIRST, [60, 5, 8]);
    return [{ ...reply, options: [...reply.options, { code: 121, value: to.flatMap(via) }] }];
  },
  // An address whose subnet is part of a tunnel's.
  overlaps: (request) => {
    const reply = answer(request, request.type === 1 ? OFFER : ACK, '10.77.0.200', [60, 5, 8]);
    const options = reply.options.filter(({ code }) => code !== 1 && code !== 3);
    return [{ ...reply, options: [...options, { code: 1, value: [255, 255, 255, 128] }] }];
  },
  hostile: (request) =>
    request.type === 1 ? hostile(request, OFFER) : [...refusals(request), ...hostile(request, ACK)],
};

/** Returns a route by the first station, in the form of option 121. */
function via(prefix: string): number[] {
  const [network = '', bits = ''] = prefix.split('/');
  return [
    Number(bits),
    ...four(network).slice(0, Math.ceil(Number(bits) / 8)),
    ...four('10.99.0.1'),
  ];
}

/** Returns rejections that do not count: of another server, another transaction, and no server. */
function refusals(request: Request): Reply[] {
  return [
    nak(request, '10.99.0.66'),
    { ...nak(request), xid: request.xid + 1 },
    { ...nak(request), options: [] },
  ];
}

/** Returns replies that are each invalid in one way, then a valid one with invalid options. */
function hostile(request: Request, type: number): Reply[] {
  const good = answer(request, type, FIRST, [0xff_ff_ff_fe]);
  const filled = Buffer.alloc(192, 12);
  const changed = (code: number, ...value: number[]): Reply => ({
    ...good,
    yiaddr: '10.99.0.66',
    options: [...good.options.filter((option) => option.code !== code), { code, value }],
  });
  return [
    { ...good, yiaddr: '10.99.0.66', xid: (request.xid ^ 1) >>> 0 },
    { ...good, yiaddr: '10.99.0.66', hardware: Buffer.alloc(6, 9) },
    ...['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '10.99.0.0', '10.99.0.255'].map(
      (yiaddr) => ({ ...good, yiaddr }),
    ),
    changed(54),
    changed(54, 255, 255, 255, 255),
    changed(54, 10, 99, 0, 66, 1),
    changed(1, 255, 0, 255, 0),
    changed(1, 0, 0, 0, 0),
    changed(51),
    changed(51, ...seconds(0)),
    changed(51, ...seconds(1)),
    changed(53, 9),
    // Options that extend past the message, and overload fields with truncated or unterminated
    // options.
    { ...changed(12), options: [...good.options, { code: 12, value: [1], length: 255 }] },
    { ...changed(52, 9), fields: filled },
    { ...changed(52, 3), fields: filled },
    { ...changed(52, 1, 2), fields: filled },
    {
      ...good,
      options: [
        ...good.options,
        { code: 15, value: [...Buffer.from('x\nnameserver 6.6.6.6\n')] },
        { code: 6, value: [0, 0, 0, 0, 255, 255, 255, 255, ...four('10.99.0.1')] },
        { code: 26, value: [0, 68] },
        { code: 121, value: [0, ...four('192.0.2.1'), 8, 127, ...four('10.99.0.1'), 33] },
        ...Array.from({ length: 3 }, () => ({ code: 43, value: Array<number>(255).fill(7) })),
      ],
    },
  ];
}

socket.on('message', (data) => {
  const request = parse(data);
  const about = request.options.get(50);
  const asked = about === undefined ? request.ciaddr : [...about].join('.');
  process.stdout.write(`${kinds[request.type] ?? ''} ${asked}\n`);
  for (const reply of behaviours[word]?.(request) ?? []) socket.send(write(reply), 68, BROADCAST);
});
socket.bind(67, '0.0.0.0', () => {
  socket.setBroadcast(true);
  process.stdout.write('listening\n');
});
