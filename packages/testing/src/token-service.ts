import { createPrivateKey, type KeyObject, randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { newCertificate } from './authority.ts';
import { listen } from './local-server.ts';
import type { LoggedRequest } from './registry/logged-request.ts';

const TOKEN_SECONDS = 60;

/**
 * Starts a token service for docker-registry: it signs the actions that a user may do
 * (https://distribution.github.io/distribution/spec/auth/jwt/). Every client may read repositories
 * under `public/`.
 */
export async function startTokenService(
  directory: string,
  users: Readonly<Record<string, string>>,
  requests: LoggedRequest[],
): Promise<AsyncDisposable & { url: string; certFile: string }> {
  const keyFile = join(directory, 'token.key');
  const certFile = join(directory, 'token.pem');
  newCertificate('/CN=tokens', keyFile, certFile);
  const key = createPrivateKey(readFileSync(keyFile));
  const certificate = new X509Certificate(readFileSync(certFile)).raw.toString('base64');
  const server = createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    requests.push({ server: 'token', method, path: url, headers });
    const user = userOf(request, users);
    if (user === undefined) {
      response.writeHead(401).end('{}');
      return;
    }
    const scopes = new URL(url, 'http://x').searchParams.getAll('scope');
    const token = jwt(key, certificate, user, scopes);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token, expires_in: TOKEN_SECONDS }));
  });
  const { port, [Symbol.asyncDispose]: close } = await listen(server);
  return { url: `http://127.0.0.1:${port}/token`, certFile, [Symbol.asyncDispose]: close };
}

/** Returns the user, empty if anonymous; undefined for a wrong password. */
function userOf(
  { headers }: IncomingMessage,
  users: Readonly<Record<string, string>>,
): string | undefined {
  const pair = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1];
  if (pair === undefined) return '';
  const text = Buffer.from(pair, 'base64').toString();
  const colon = text.indexOf(':');
  const user = text.slice(0, colon);
  return users[user] === text.slice(colon + 1) ? user : undefined;
}

function jwt(key: KeyObject, certificate: string, user: string, scopes: readonly string[]): string {
  const access = scopes.flatMap((scope) => {
    const [, type, name = '', actions = ''] = /^([^:]+):(.+):([^:]+)$/.exec(scope) ?? [];
    const allowed = actions
      .split(',')
      .filter((action) => user !== '' || (action === 'pull' && name.startsWith('public/')));
    return type === undefined ? [] : [{ type, name, actions: allowed }];
  });
  const now = Math.floor(Date.now() / 1000);
  const header = { typ: 'JWT', alg: 'ES256', x5c: [certificate] };
  const claims = {
    iss: 'lkt-test',
    sub: user,
    aud: 'test',
    exp: now + TOKEN_SECONDS,
    nbf: now - 10,
    iat: now,
    jti: randomUUID(),
    access,
  };
  const text = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signature = sign('sha256', Buffer.from(text.join('.')), { key, dsaEncoding: 'ieee-p1363' });
  return [...text, signature.toString('base64url')].join('.');
}
