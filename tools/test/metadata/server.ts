import { createServer, type IncomingMessage } from 'node:http';
import { CLOUDS, USUAL } from './clouds.ts';

// Metadata service of a cloud: `node server.ts CLOUD`. Prints the path of each request.

const word = process.argv[2] ?? '';
const cloud = CLOUDS[word];
if (cloud === undefined) throw new Error(`no cloud ${word}`);

createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  // Accepts requests and never responds.
  if (word === 'mute') return;
  const { status = 200, body = '', headers = {} } = cloud.answer(asked(request)) ?? { status: 404 };
  response.writeHead(status, headers).end(body);
}).listen(80, cloud.address ?? USUAL, () => console.log('listening'));

function asked({ method = '', url = '', headers, socket }: IncomingMessage): {
  method: string;
  path: string;
  header: (name: string) => string;
  port: number;
} {
  const header = (name: string): string => String(headers[name] ?? '');
  return { method, path: url, header, port: socket.remotePort ?? 0 };
}
