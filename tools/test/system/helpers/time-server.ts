import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** An NTP server (RFC 5905) on the loopback interface. */
export interface TimeServer extends Disposable {
  readonly port: number;
}

/** Starts a server whose clock is `ahead` seconds ahead of this machine's. */
export async function timeServer(ahead: number): Promise<TimeServer> {
  const socket = createSocket('udp4');
  socket.on('message', (request, from) => {
    if (request.length < 48) return;
    const now = Date.now() / 1000 + ahead;
    const answer = Buffer.alloc(48);
    // Version 4, server mode; stratum 1; precision 2^-10 s.
    answer.set([0x24, 1, 0, 0xf6]);
    put(answer, 16, now - 1);
    request.copy(answer, 24, 40, 48);
    put(answer, 32, now);
    put(answer, 40, now);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, [Symbol.dispose]: () => socket.close() };
}

/** Writes a Unix time as an NTP timestamp: seconds since 1900 and their fraction. */
function put(answer: Buffer, at: number, seconds: number): void {
  const since1900 = seconds + 2_208_988_800;
  answer.writeUInt32BE(Math.floor(since1900) % 2 ** 32, at);
  answer.writeUInt32BE(Math.floor((since1900 % 1) * 2 ** 32), at + 4);
}
