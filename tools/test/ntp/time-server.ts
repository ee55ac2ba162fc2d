import { createSocket } from 'node:dgram';
import { answer } from './answer.ts';

// An NTP server whose behaviour is an argument: `node time-server.ts BEHAVIOUR`. Prints a line for
// each request.

const [, , word = ''] = process.argv;
const socket = createSocket('udp4');
const now = (): number => Date.now() / 1000;
const HOUR = 3600;

/** Returns an answer without a time, for a reason (RFC 5905 section 7.4). */
function kiss(request: Buffer, code: string): Buffer {
  const packet = answer(request, now());
  packet[1] = 0;
  packet.write(code, 12, 'latin1');
  return packet;
}

/** Returns an answer that is an hour ahead, with bits of one byte changed. */
function changed(request: Buffer, at: number, bits: number): Buffer {
  const packet = answer(request, now() + HOUR);
  packet[at] = (packet[at] ?? 0) ^ bits;
  return packet;
}

/** The answers to a request, in order, by behaviour. */
const behaviours: Readonly<Record<string, (request: Buffer) => readonly Buffer[]>> = {
  honest: (request) => [answer(request, now())],
  ahead: (request) => [answer(request, now() + HOUR)],
  behind: (request) => [answer(request, now() - HOUR)],
  // Before the image was made, and long after.
  past: (request) => [answer(request, 946_684_800)],
  future: (request) => [answer(request, now() + 40 * 365 * 24 * HOUR)],
  denies: (request) => [kiss(request, 'DENY')],
  slows: (request) => [kiss(request, 'RATE')],
  // Says that its own clock is not set.
  unsynchronized: (request) => [changed(request, 0, 0xc0)],
  // Answers as someone who does not see the requests would, then with all kinds of packets.
  floods: (request) => [
    ...Array.from({ length: 200 }, (_, n) => changed(request, 24 + (n % 8), n + 1)),
    ...Array.from({ length: 60 }, (_, n) => Buffer.alloc(n * 20, n)),
    changed(request, 0, 7),
  ],
};

socket.on('message', (request, from) => {
  process.stdout.write('request\n');
  for (const packet of behaviours[word]?.(request) ?? [])
    socket.send(packet, from.port, from.address);
});
socket.bind(123, () => process.stdout.write('listening\n'));
