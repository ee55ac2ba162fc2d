import { createHash, generateKeyPairSync, type KeyPairKeyObjectResult, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { listen } from '../local-server.ts';
import type { LoggedRequest } from '../registry/logged-request.ts';
import { bytesOf, type CertificateExtension, completed, issueCertificate } from './certificates.ts';
import { TokenIssuer } from './token-issuer.ts';
import { TransparencyLog } from './transparency-log.ts';
import { pem } from './pem.ts';
import { TiledLog } from './tiled-log.ts';
import { signingConfig, trustedRoot } from './trusted-root.ts';

/** Options of `startSigstore`. */
export interface SigstoreOptions {
  /** Start of the certificates' validity of ten minutes; default: now. */
  readonly certificatesFrom?: Date;
  /** Extensions to add to each certificate. */
  readonly extensions?: readonly CertificateExtension[];
}

/**
 * A Sigstore instance at one address: a certificate authority with its log, transparency logs of
 * Rekor 1 and 2, and a timestamp authority.
 */
export interface TestSigstore extends AsyncDisposable {
  readonly url: string;
  readonly issuer: TokenIssuer;
  readonly log: TransparencyLog;
  /** The log of Rekor 2. */
  readonly tiledLog: TiledLog;
  readonly requests: readonly LoggedRequest[];
  /** Rejects requests to a path, such as `/api/v1/log/entries`, after `good` successful ones. */
  refuse(path: string, good: number): void;
  /** Text of `trusted_root.json`. */
  readonly trustedRoot: string;
  /** Text of `signing_config.json`, with the log of Rekor 2. */
  readonly signingConfig: string;
  /**
   * Directory with `trusted_root.json`, `signing_config.json`, `fulcio.pem`, `ctfe.pub`,
   * `rekor.pub` and `tsa.pem`, as cosign reads them.
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
      certificateLog.log(arrayOf(completed(Buffer.from(certificate))), issuerId),
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
  const tiledKeys = generateKeyPairSync('ed25519');
  const tiledLog = new TiledLog(tiledKeys, host);
  const services: Services = {
    log,
    tiledLog,
    logKey: keys.log.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    issueCertificate: async (request) =>
      issueCertificate(authority, keys.ca.privateKey, issuer, request, options.extensions),
    timestamp: async (body) => {
      clock.setTime(Math.floor(Date.now() / 1000) * 1000);
      const { statusCode, response } = await timestamps.fn(timestampQuery(body));
      const reply = typeof response === 'string' ? response : bytesOf(response);
      const headers = { 'content-type': 'application/timestamp-reply' };
      return new Response(reply, { status: statusCode, headers });
    },
  };
  const requests: LoggedRequest[] = [];
  const left = new Map<string, number>();
  server.on('request', (request, response) => {
    const { method = 'GET', url: path = '/', headers } = request;
    requests.push({ server: 'sigstore', method, path, headers });
    void respond(request, response, async (whole) => {
      const { pathname } = new URL(whole.url);
      const count = left.get(pathname);
      if (count === 0) return refusal(400, 'not today');
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
      tiledLog: { key: tiledKeys.publicKey, id: tiledLog.id },
      certificateLog: keys.certificateLog.publicKey,
      certificates,
      timestampCertificates,
    }),
  );
  const config = JSON.stringify(signingConfig(url));
  const directory = await mkdtemp(join(tmpdir(), 'lkt-sigstore-'));
  const files: Readonly<Record<string, string>> = {
    'trusted_root.json': root,
    'signing_config.json': config,
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
    tiledLog,
    requests,
    refuse: (path, good) => void left.set(path, good),
    trustedRoot: root,
    signingConfig: config,
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

interface Services {
  readonly log: TransparencyLog;
  readonly tiledLog: TiledLog;
  readonly logKey: string;
  readonly issueCertificate: (
    request: Parameters<typeof issueCertificate>[3],
  ) => Promise<readonly string[]>;
  readonly timestamp: (query: Buffer) => Promise<Response>;
}

async function respond(
  incoming: IncomingMessage,
  response: ServerResponse,
  handler: (request: Request) => Promise<Response>,
): Promise<void> {
  const { method = 'GET', url = '/', headers } = incoming;
  const request = new Request(new URL(url, 'http://sigstore'), {
    method,
    headers: { authorization: headers.authorization ?? '' },
    body: method === 'GET' ? null : await buffer(incoming),
  });
  const result = await handler(request).catch((error: unknown) => refusal(400, String(error)));
  response.writeHead(result.status, Object.fromEntries(result.headers));
  response.end(await result.bytes());
}

async function handle(services: Services, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  switch (`${request.method} ${pathname}`) {
    case 'POST /api/v2/signingCert':
      return handleSigningCertV2(services, request);
    case 'POST /api/v1/signingCert':
      return handleSigningCertV1(services, request);
    case 'POST /api/v1/timestamp':
      return services.timestamp(Buffer.from(await request.bytes()));
    case 'POST /api/v2/log/entries':
      return Response.json(services.tiledLog.add(await request.json()), { status: 201 });
    default:
      return handleLog(services, request);
  }
}

/** Handles API version 2 (https://github.com/sigstore/fulcio/blob/main/fulcio.proto). */
async function handleSigningCertV2(
  { issueCertificate: issue }: Services,
  request: Request,
): Promise<Response> {
  const requested = (await request.json()) as {
    readonly credentials?: { readonly oidcIdentityToken: string };
    readonly publicKeyRequest: {
      readonly publicKey: { readonly content: string };
      readonly proofOfPossession: string;
    };
  };
  const chain = await issue({
    // sigstore-go sends the token as a header.
    token: requested.credentials?.oidcIdentityToken ?? bearerToken(request),
    publicKey: requested.publicKeyRequest.publicKey.content,
    proof: Buffer.from(requested.publicKeyRequest.proofOfPossession, 'base64'),
  });
  return Response.json({ signedCertificateEmbeddedSct: { chain: { certificates: chain } } });
}

/** Handles API version 1, which cosign uses. */
async function handleSigningCertV1(
  { issueCertificate: issue }: Services,
  request: Request,
): Promise<Response> {
  const requested = (await request.json()) as {
    readonly publicKey: { readonly content: string };
    readonly signedEmailAddress: string;
  };
  const chain = await issue({
    token: bearerToken(request),
    publicKey: requested.publicKey.content,
    proof: Buffer.from(requested.signedEmailAddress, 'base64'),
  });
  const headers = { 'content-type': 'application/pem-certificate-chain' };
  return new Response(chain.join(''), { status: 201, headers });
}

function bearerToken({ headers }: Request): string {
  return headers.get('authorization')?.replace(/^Bearer /, '') ?? '';
}

/** Converts a query of RFC 3161, 2.4.1, to the JSON that sigstore-js sends. */
function timestampQuery(body: Buffer): string {
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
async function handleLog({ log, logKey }: Services, request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const path = pathname.replace('/api/v1/log', '');
  switch (`${request.method} ${path}`) {
    case 'GET ':
      return Response.json(log.state());
    case 'GET /publicKey':
      return new Response(logKey, { headers: { 'content-type': 'application/x-pem-file' } });
    case 'GET /entries':
      return found(log.view(Number(searchParams.get('logIndex'))));
    case 'POST /entries':
      return addEntry(log, await request.json());
    case 'POST /entries/retrieve': {
      const { entryUUIDs } = (await request.json()) as { entryUUIDs: readonly string[] };
      return Response.json(entryUUIDs.flatMap((uuid) => log.view(log.find(uuid)) ?? []));
    }
    default:
      return found(log.view(log.find(path.replace('/entries/', ''))));
  }
}

function addEntry(log: TransparencyLog, proposed: unknown): Response {
  const { index, uuid, isNew } = log.add(proposed);
  const headers = { location: `/api/v1/log/entries/${uuid}`, etag: uuid };
  if (isNew) return Response.json(log.view(index), { status: 201, headers });
  const message = `an equivalent entry already exists in the transparency log with UUID ${uuid}`;
  return refusal(409, message, headers);
}

function found(entry: object | undefined): Response {
  return entry === undefined ? refusal(404, 'no entry') : Response.json(entry);
}

function refusal(code: number, message: string, headers?: Record<string, string>): Response {
  return Response.json({ code, message }, { status: code, headers });
}
