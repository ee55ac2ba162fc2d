import { connect } from 'node:net';

const TIMEOUT_MS = 15_000;

/**
 * A minimal ClientHello of TLS 1.2 (RFC 5246, 7.4.1.2): no session, one cipher suite, no extension.
 * A TLS server replies with a handshake or an alert. The random bytes are line ends, so that an
 * HTTP server replies at once.
 */
const CLIENT_HELLO = Buffer.concat([
  Buffer.from('160301002d010000290303', 'hex'),
  Buffer.alloc(32, '\r\n'),
  Buffer.from('000002c02f0100', 'hex'),
]);

/**
 * Reports whether a server responds to a TLS ClientHello in plain HTTP. A real TLS connection would
 * take much longer, since it loads the certificates of all authorities. Any other reaction returns
 * false and is left to that connection.
 */
export async function answersTlsWithHttp({ hostname, port, protocol }: URL): Promise<boolean> {
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  const host = hostname.replaceAll(/[[\]]/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: number, timeout: TIMEOUT_MS });
    const end = (isPlainHttp: boolean): void => {
      socket.destroy();
      resolve(isPlainHttp);
    };
    let start = '';
    socket.on('connect', () => socket.write(CLIENT_HELLO));
    socket.on('data', (data) => {
      start += data.toString('latin1', 0, 5);
      if (start.length >= 5 || !'HTTP/'.startsWith(start)) end(start.startsWith('HTTP/'));
    });
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}
