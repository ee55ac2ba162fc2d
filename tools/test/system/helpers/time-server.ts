import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { answer } from '../../ntp/answer.ts';

/** An NTP server (RFC 5905) on the loopback interface. */
export interface TimeServer extends Disposable {
  readonly port: number;
}

/** Starts a server whose clock is `ahead` seconds ahead of this machine's. */
export async function timeServer(ahead: number): Promise<TimeServer> {
  const socket = createSocket('udp4');
  socket.on('message', (request, from) => {
    if (request.length < 48) return;
    socket.send(answer(request, Date.now() / 1000 + ahead), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, [Symbol.dispose]: () => socket.close() };
}
