import { createServer, type IncomingMessage } from 'node:http';
import { CLOUDS, USUAL } from './clouds.ts';

// The service of a cloud: `node server.ts WORD`. It says the paths that it is asked for, a line each.

const word = process.argv[2] ?? '';
const cloud = CLOUDS[word];
if (cloud === undefined) throw new Error(`no cloud ${word}`);

createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  // One that takes the question, and says nothing.
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
