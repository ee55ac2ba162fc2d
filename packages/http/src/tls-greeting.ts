import { connect } from 'node:net';

const PATIENCE = 15_000;

/**
 * The least ClientHello of TLS 1.2 (RFC 5246, 7.4.1.2): no session, one cipher suite, no extension. Whoever speaks TLS
 * answers it with a handshake or an alert. Its random bytes are ends of lines, for which a server of HTTP waits.
 */
const GREETING = Buffer.concat([
  Buffer.from('160301002d010000290303', 'hex'),
  Buffer.alloc(32, '\r\n'),
  Buffer.from('000002c02f0100', 'hex'),
]);

/**
 * Whether a server answers a greeting of TLS in plain HTTP. To find that out by a connection of TLS takes much longer: the
 * certificates of all authorities are read for it. Anything but an answer in HTTP is left to such a connection.
 */
export async function answersTlsInHttp({ hostname, port, protocol }: URL): Promise<boolean> {
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  const host = hostname.replaceAll(/[[\]]/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: number, timeout: PATIENCE });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    let start = '';
    socket.on('connect', () => socket.write(GREETING));
    socket.on('data', (data) => {
      start += data.toString('latin1', 0, 5);
      if (start.length >= 5 || !'HTTP/'.startsWith(start)) end(start.startsWith('HTTP/'));
    });
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}
