import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { answer } from '../../ntp/answer.ts';

/** An NTP server (RFC 5905) on the loopback interface. */
export interface TimeServer extends Disposable {
  readonly port: number;
  /** Seconds by which its clock is ahead of this machine's. */
  ahead: number;
}

/** Starts a server. */
export async function timeServer(ahead: number): Promise<TimeServer> {
  const socket = createSocket('udp4');
  const server = { port: 0, ahead, [Symbol.dispose]: () => socket.close() };
  socket.on('message', (request, from) => {
    if (request.length < 48) return;
    socket.send(answer(request, Date.now() / 1000 + server.ahead), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  server.port = socket.address().port;
  return server;
}
