import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isErrno, LktError } from '@lkt/core';
import { COMMON_HEADERS, rangeOf, sendPart } from './exchange.ts';
import { listen } from './listen.ts';
import { logLine } from './log-line.ts';
import { Pipelines } from './pipelines.ts';

/** Options of serving a directory. */
export interface ServeOptions {
  /** Ends the server. */
  readonly signal: AbortSignal;
  /** Called with the address as `host:port`. */
  readonly onListen: (address: string) => void;
  /** Called after each request: `200 GET /disk.img`. */
  readonly onRequest: (line: string) => void;
}

/**
 * Serves the files of a directory until the signal is aborted.
 * @param address an address of this machine, all without a host; port 0 selects a free one
 * @returns the number of requests
 * @throws NOT_FOUND if there is no such directory; RUN_FAILED if it cannot listen
 */
export async function serveDirectory(
  directory: string,
  address: { readonly host?: string | undefined; readonly port: number },
  { signal, onListen, onRequest }: ServeOptions,
): Promise<number> {
  const root = await realpath(directory).catch((cause: unknown) => {
    throw new LktError('NOT_FOUND', `there is no directory ${directory}`, { cause });
  });
  if (!(await stat(root)).isDirectory())
    throw new LktError('NOT_FOUND', `${directory} is not a directory`);
  let served = 0;
  const pipelines = new Pipelines();
  const server = createServer((request, response) => {
    served += 1;
    pipelines.add(request, response, async () =>
      respond(root, request, response).then(
        () => onRequest(logLine(request, response)),
        () => void response.destroy(),
      ),
    );
  });
  onListen(await listen(server, address.host, address.port));
  await new Promise<void>((closed) => {
    const close = (): void => {
      server.close(() => closed());
      server.closeAllConnections();
    };
    if (signal.aborted) close();
    else signal.addEventListener('abort', close, { once: true });
  });
  return served;
}

async function respond(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const end = (status: number, text: string, headers: Record<string, string> = {}): void => {
    const type = 'text/plain; charset=utf-8';
    response.writeHead(status, { ...COMMON_HEADERS, 'content-type': type, ...headers });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return end(405, 'only GET and HEAD\n', { allow: 'GET, HEAD' });
  const name = pathOf(request.url ?? '');
  const path = name === undefined ? undefined : await resolveInside(root, name);
  if (path === undefined || name === undefined) return end(404, 'not found\n');
  const found = await stat(path);
  if (found.isDirectory()) {
    if (name.endsWith('/'))
      return end(200, await listing(path), { 'content-type': 'text/html; charset=utf-8' });
    const parts = name.split('/').filter((part) => part !== '');
    return end(301, '', { location: `/${parts.map(encodeURIComponent).join('/')}/` });
  }
  if (!found.isFile()) return end(404, 'not found\n');
  const { size } = found;
  const range = rangeOf(request, size);
  if (range !== undefined && range.start >= range.end)
    return end(416, '', { 'content-range': `bytes */${size}` });
  // Boot loaders and resumed downloads request parts.
  const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };
  if (range !== undefined) return sendPart(response, path, range, size, headers);
  response.writeHead(200, { ...COMMON_HEADERS, ...headers, 'content-length': size });
  if (request.method === 'HEAD' || size === 0) response.end();
  else await pipeline(createReadStream(path, { end: size - 1 }), response);
}

/** Returns a page of links to the entries of a directory. */
async function listing(path: string): Promise<string> {
  const entries = await readdir(path, { withFileTypes: true });
  const links = entries
    .map((entry) => `${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .toSorted()
    .map((name) => {
      const url = encodeURI(name).replaceAll(/[?#]/g, encodeURIComponent);
      return `<a href="${url}">${escapeHtml(name)}</a>\n`;
    });
  return `<!doctype html>\n<meta charset="utf-8">\n<pre>\n${links.join('')}</pre>\n`;
}

/** Returns the decoded path of a URL; undefined if it is malformed. */
function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(url.replace(/[?#].*$/, ''));
    return path.startsWith('/') && !path.includes('\0') ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Returns a path after following links; undefined if it is missing or leaves the directory. */
async function resolveInside(root: string, path: string): Promise<string | undefined> {
  try {
    const real = await realpath(join(root, path));
    return real === root || real.startsWith(root === sep ? sep : root + sep) ? real : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
