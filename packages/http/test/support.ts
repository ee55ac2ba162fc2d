import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Serves on this machine until the test ends. */
export async function serve(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(listener))}`;
}

/** Serves over TLS as `localhost`, with a certificate of an unknown authority. */
export async function serveSecurely(
  listener: RequestListener,
): Promise<{ address: string; ca: string; caFile: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'lkt-http-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
  );
  openssl('req', ...key, '-keyout', path('key'), '-out', path('csr'), '-subj', '/CN=localhost');
  writeFileSync(path('san'), 'subjectAltName=DNS:localhost,DNS:registry.test\n');
  openssl(
    'x509',
    '-req',
    '-in',
    path('csr'),
    '-CA',
    path('ca.pem'),
    '-CAkey',
    path('ca.key'),
    '-out',
    path('pem'),
    '-days',
    '2',
    '-extfile',
    path('san'),
  );
  const server = createSecureServer(
    { key: readFileSync(path('key')), cert: readFileSync(path('pem')) },
    listener,
  );
  const caFile = path('ca.pem');
  return {
    address: `https://localhost:${await listen(server)}`,
    ca: readFileSync(caFile, 'utf8'),
    caFile,
  };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function collect(content: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Returns the error with which a promise rejects. */
export async function failure(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('it did not fail');
  return error as Error & Record<string, unknown>;
}
