import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isErrno, LktError } from '@lkt/core';

export interface ServeOptions {
  readonly signal: AbortSignal;
  readonly onListen: (address: string) => void;
  readonly onRequest: (line: string) => void;
}

/**
 * Serves the files of a directory until the signal.
 * @param listen where to listen; without a host on all addresses
 * @returns the number of requests
 * @throws NOT_FOUND; RUN_FAILED when the port cannot be had
 */
export async function serveDirectory(
  directory: string,
  { host, port }: { readonly host?: string | undefined; readonly port: number },
  { signal, onListen, onRequest }: ServeOptions,
): Promise<number> {
  const root = await realpath(directory).catch((cause: unknown) => {
    throw new LktError('NOT_FOUND', `there is no directory ${directory}`, { cause });
  });
  if (!(await stat(root)).isDirectory())
    throw new LktError('NOT_FOUND', `${directory} is not a directory`);
  let served = 0;
  const server = createServer((request, response) => {
    served += 1;
    void answer(root, request, response).then(
      (status) => onRequest(`${status} ${request.method} ${request.url}`),
      () => response.destroy(),
    );
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', (error) =>
      failed(
        isErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND')
          ? new LktError('RUN_FAILED', `cannot listen on ${host ?? ''}:${port}`, { cause: error })
          : error,
      ),
    );
    server.listen(port, host, listening);
  });
  const bound = server.address() as AddressInfo;
  onListen(`${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`);
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

/** @returns the status */
async function answer(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<number> {
  const end = (status: number, text: string, headers: Record<string, string> = {}): number => {
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : text);
    return status;
  };
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return end(405, 'only GET and HEAD\n', { allow: 'GET, HEAD' });
  const name = pathOf(request.url ?? '');
  const path = name === undefined ? undefined : await insideOf(root, name);
  if (path === undefined || name === undefined) return end(404, 'not found\n');
  const found = await stat(path);
  if (found.isDirectory()) {
    if (!name.endsWith('/')) {
      const parts = name.split('/').filter((part) => part !== '');
      return end(301, '', { location: `/${parts.map(encodeURIComponent).join('/')}/` });
    }
    const items = await readdir(path, { withFileTypes: true });
    const names = items.map((item) => `${item.name}${item.isDirectory() ? '/' : ''}`);
    const links = names
      .toSorted()
      .map(
        (item) =>
          `<a href="${encodeURI(item).replaceAll(/[?#]/g, encodeURIComponent)}">${html(item)}</a>\n`,
      );
    return end(200, `<!doctype html>\n<meta charset="utf-8">\n<pre>\n${links.join('')}</pre>\n`, {
      'content-type': 'text/html; charset=utf-8',
    });
  }
  if (!found.isFile()) return end(404, 'not found\n');
  return sendFile(path, found.size, request, response);
}

/** One range is served, as boot loaders and resumed downloads ask for (RFC 9110, section 14). */
async function sendFile(
  path: string,
  size: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<number> {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const isPart = from !== '' || to !== '';
  const start = from === '' ? (isPart ? Math.max(0, size - Number(to)) : 0) : Number(from);
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (isPart && (start > last || start >= size)) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return 416;
  }
  const status = isPart ? 206 : 200;
  response.writeHead(status, {
    'accept-ranges': 'bytes',
    'content-length': Math.max(0, last - start + 1),
    'content-type': 'application/octet-stream',
    'x-content-type-options': 'nosniff',
    ...(isPart ? { 'content-range': `bytes ${start}-${last}/${size}` } : {}),
  });
  if (request.method === 'HEAD' || size === 0) response.end();
  else await pipeline(createReadStream(path, { start, end: last }), response);
  return status;
}

function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(url.replace(/[?#].*$/, ''));
    return path.startsWith('/') && !path.includes('\0') ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Where a path leads, if that is in the directory, links followed. */
async function insideOf(root: string, path: string): Promise<string | undefined> {
  try {
    const real = await realpath(join(root, path));
    return real === root || real.startsWith(root === sep ? sep : root + sep) ? real : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

function html(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
