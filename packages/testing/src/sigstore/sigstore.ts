import { createHash, generateKeyPairSync, type KeyPairKeyObjectResult, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listen } from '../local-server.ts';
import type { LoggedRequest } from '../registry/logged-request.ts';
import { bytesOf, issueCertificate } from './certificates.ts';
import { TokenIssuer } from './token-issuer.ts';
import { TransparencyLog } from './transparency-log.ts';
import { pem } from './pem.ts';
import { withEmailName } from './certificate-der.ts';
import { trustedRoot } from './trusted-root.ts';

/** Options of `startSigstore`. */
export interface SigstoreOptions {
  /** Start of the certificates' validity of ten minutes; default: now. */
  readonly certificatesFrom?: Date;
}

/**
 * A Sigstore instance at one address: a certificate authority with its log, a transparency log and
 * a timestamp authority.
 */
export interface TestSigstore extends AsyncDisposable {
  readonly url: string;
  readonly issuer: TokenIssuer;
  readonly log: TransparencyLog;
  readonly requests: readonly LoggedRequest[];
  /** Rejects requests to a path, such as `/api/v1/log/entries`, after `good` successful ones. */
  refuse(path: string, good: number): void;
  /** Text of `trusted_root.json`. */
  readonly trustedRoot: string;
  /**
   * Directory with `trusted_root.json`, `fulcio.pem`, `ctfe.pub`, `rekor.pub` and `tsa.pem`, as
   * cosign reads them.
   */
  readonly directory: string;
}

/** Starts a Sigstore instance on 127.0.0.1 with new keys. */
export async function startSigstore(options: SigstoreOptions = {}): Promise<TestSigstore> {
  const { initializeCA, initializeCTLog, initializeTSA, tsaHandler } =
    await import('@sigstore/mock');
  const keys = { ca: newKey(), certificateLog: newKey(), log: newKey(), tsa: newKey() };
  const certificateLog = await initializeCTLog(keys.certificateLog);
  const { publicKey, logID } = certificateLog;
  const logged = {
    publicKey,
    logID,
    log: async (certificate: ArrayBuffer, issuerId: ArrayBuffer) =>
      certificateLog.log(arrayOf(withEmailName(Buffer.from(certificate))), issuerId),
  };
  const authority = await initializeCA(keys.ca, logged, options.certificatesFrom);
  // Whole seconds: not every reader parses the mock authority's fractions.
  const clock = new Date();
  const tsa = await initializeTSA(keys.tsa, clock);
  const timestamps = tsaHandler(tsa, { strict: true });

  const server = createServer();
  const { port, [Symbol.asyncDispose]: close } = await listen(server);
  const host = `127.0.0.1:${port}`;
  const url = `http://${host}`;

  const issuer = new TokenIssuer('https://issuer.example');
  const log = new TransparencyLog(keys.log, host);
  log.add(firstEntry(keys.log));
  const services: Services = {
    log,
    logKey: keys.log.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    issueCertificate: async (request) =>
      issueCertificate(authority, keys.ca.privateKey, issuer, request),
    timestamp: async (body) => {
      clock.setTime(Math.floor(Date.now() / 1000) * 1000);
      const { statusCode, response } = await timestamps.fn(timestampQuery(body));
      const reply = typeof response === 'string' ? response : bytesOf(response);
      return { status: statusCode, type: 'application/timestamp-reply', body: reply };
    },
  };
  const requests: LoggedRequest[] = [];
  const left = new Map<string, number>();
  server.on('request', (request, response) => {
    const { method = 'GET', url: path = '/', headers } = request;
    requests.push({ server: 'sigstore', method, path, headers });
    void respond(request, response, async (whole) => {
      const { pathname } = whole.url;
      const count = left.get(pathname);
      if (count === 0) return json(400, { code: 400, message: 'not today' });
      if (count !== undefined) left.set(pathname, count - 1);
      return handle(services, whole);
    });
  });

  const certificates = [bytesOf(authority.rootCertificate)];
  const timestampCertificates = [bytesOf(tsa.intCertificate), bytesOf(tsa.rootCertificate)];
  const root = JSON.stringify(
    trustedRoot({
      url,
      log: keys.log.publicKey,
      certificateLog: keys.certificateLog.publicKey,
      certificates,
      timestampCertificates,
    }),
  );
  const directory = await mkdtemp(join(tmpdir(), 'lkt-sigstore-'));
  const files: Readonly<Record<string, string>> = {
    'trusted_root.json': root,
    'fulcio.pem': certificates.map((item) => pem('CERTIFICATE', item)).join(''),
    'tsa.pem': timestampCertificates.map((item) => pem('CERTIFICATE', item)).join(''),
    'rekor.pub': services.logKey,
    'ctfe.pub': keys.certificateLog.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);

  return {
    url,
    issuer,
    log,
    requests,
    refuse: (path, good) => void left.set(path, good),
    trustedRoot: root,
    directory,
    [Symbol.asyncDispose]: async () => {
      await close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function arrayOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function newKey(): KeyPairKeyObjectResult {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/**
 * Returns an initial entry. In a log with one entry proofs have no hashes, which sigstore-go treats
 * as no proof.
 */
function firstEntry({ publicKey, privateKey }: ReturnType<typeof newKey>): object {
  const content = Buffer.from('the first entry');
  const value = createHash('sha256').update(content).digest('hex');
  const key = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }));
  const signature = {
    content: sign('sha256', content, privateKey).toString('base64'),
    publicKey: { content: key.toString('base64') },
  };
  const spec = { data: { hash: { algorithm: 'sha256', value } }, signature };
  return { apiVersion: '0.0.1', kind: 'hashedrekord', spec };
}

interface Response {
  readonly status: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

interface Request {
  readonly method: string;
  readonly url: URL;
  readonly authorization: string;
  readonly body: Buffer;
}

interface Services {
  readonly log: TransparencyLog;
  readonly logKey: string;
  readonly issueCertificate: (
    request: Parameters<typeof issueCertificate>[3],
  ) => Promise<readonly string[]>;
  readonly timestamp: (body: Buffer) => Promise<Response>;
}

async function respond(
  incoming: IncomingMessage,
  response: ServerResponse,
  handler: (request: Request) => Promise<Response>,
): Promise<void> {
  const parts: Uint8Array[] = [];
  for await (const part of incoming) parts.push(part as Uint8Array);
  const request = {
    method: incoming.method ?? 'GET',
    url: new URL(incoming.url ?? '/', 'http://sigstore'),
    authorization: incoming.headers.authorization ?? '',
    body: Buffer.concat(parts),
  };
  const result = await handler(request).catch((error: unknown) =>
    json(400, { code: 400, message: String(error) }),
  );
  const type = result.type ?? 'text/plain';
  response.writeHead(result.status, { 'content-type': type, ...result.headers });
  response.end(result.body);
}

async function handle(services: Services, request: Request): Promise<Response> {
  const { method, url } = request;
  switch (`${method} ${url.pathname}`) {
    case 'POST /api/v2/signingCert':
      return handleSigningCertV2(services, request);
    case 'POST /api/v1/signingCert':
      return handleSigningCertV1(services, request);
    case 'POST /api/v1/timestamp':
      return services.timestamp(request.body);
    default:
      return handleLog(services, request);
  }
}

/** Handles API version 2 (https://github.com/sigstore/fulcio/blob/main/fulcio.proto). */
async function handleSigningCertV2(
  { issueCertificate: issue }: Services,
  { authorization, body }: Request,
): Promise<Response> {
  const requested = JSON.parse(body.toString()) as {
    readonly credentials?: { readonly oidcIdentityToken: string };
    readonly publicKeyRequest: {
      readonly publicKey: { readonly content: string };
      readonly proofOfPossession: string;
    };
  };
  const chain = await issue({
    // sigstore-go sends the token as a header.
    token: requested.credentials?.oidcIdentityToken ?? authorization.replace(/^Bearer /, ''),
    publicKey: requested.publicKeyRequest.publicKey.content,
    proof: Buffer.from(requested.publicKeyRequest.proofOfPossession, 'base64'),
  });
  return json(200, { signedCertificateEmbeddedSct: { chain: { certificates: chain } } });
}

/** Handles API version 1, which cosign uses. */
async function handleSigningCertV1(
  { issueCertificate: issue }: Services,
  { authorization, body }: Request,
): Promise<Response> {
  const requested = JSON.parse(body.toString()) as {
    readonly publicKey: { readonly content: string };
    readonly signedEmailAddress: string;
  };
  const chain = await issue({
    token: authorization.replace(/^Bearer /, ''),
    publicKey: requested.publicKey.content,
    proof: Buffer.from(requested.signedEmailAddress, 'base64'),
  });
  return { status: 201, type: 'application/pem-certificate-chain', body: chain.join('') };
}

/**
 * Converts a query of RFC 3161, 2.4.1, to the JSON that sigstore-js sends, and returns JSON as it
 * is.
 */
function timestampQuery(body: Buffer): string {
  if (body[0] === 0x7b) return body.toString();
  // The hash is an OCTET STRING of 32 bytes, followed by the nonce, an INTEGER.
  const at = body.indexOf(Buffer.of(0x04, 0x20));
  if (at === -1) throw new Error('the query has no sha256');
  const artifactHash = body.subarray(at + 2, at + 34).toString('base64');
  const rest = body.subarray(at + 34);
  const nonce = rest[0] === 0x02 ? rest.subarray(2, 2 + (rest[1] ?? 0)) : Buffer.of();
  return JSON.stringify({
    artifactHash,
    hashAlgorithm: 'sha256',
    certificates: true,
    nonce: nonce.length > 0 && nonce.length < 7 ? nonce.readUIntBE(0, nonce.length) : undefined,
  });
}

/** Handles requests to the log (https://github.com/sigstore/rekor/blob/main/openapi.yaml). */
function handleLog({ log, logKey }: Services, { method, url, body }: Request): Response {
  const path = url.pathname.replace('/api/v1/log', '');
  const key = `${method} ${path}`;
  if (key === 'GET /publicKey')
    return { status: 200, type: 'application/x-pem-file', body: logKey };
  if (key === 'GET ') return json(200, log.state());
  if (key === 'POST /entries') {
    const { index, uuid, isNew } = log.add(JSON.parse(body.toString()));
    const headers = { location: `/api/v1/log/entries/${uuid}` };
    if (isNew) return json(201, log.view(index) ?? {}, { ...headers, etag: uuid });
    const message = `an equivalent entry already exists in the transparency log with UUID ${uuid}`;
    return json(409, { code: 409, message }, headers);
  }
  if (key === 'GET /entries') return found(log.view(Number(url.searchParams.get('logIndex'))));
  if (key === 'POST /entries/retrieve') {
    const { entryUUIDs } = JSON.parse(body.toString()) as { entryUUIDs: readonly string[] };
    return json(
      200,
      entryUUIDs.flatMap((uuid) => log.view(log.find(uuid)) ?? []),
    );
  }
  if (path.startsWith('/entries/'))
    return found(log.view(log.find(path.slice('/entries/'.length))));
  return json(404, { code: 404, message: `there is no ${key}` });
}

function found(entry: object | undefined): Response {
  return entry === undefined ? json(404, { code: 404, message: 'no entry' }) : json(200, entry);
}

function json(
  status: number,
  document: object,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return { status, type: 'application/json', headers, body: JSON.stringify(document) };
}
