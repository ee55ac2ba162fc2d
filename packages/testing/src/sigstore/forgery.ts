import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  type KeyPairKeyObjectResult,
  sign,
} from 'node:crypto';
import { der } from './der.ts';
import {
  alternativeNames,
  basicConstraints,
  type CertificateParts,
  ecKeys,
  extendedKeyUsage,
  extension,
  forgeCertificate,
  type ForgedCertificate,
  keyUsage,
  toBeSigned,
  Usage,
} from './forged-certificate.ts';
import { canonicalJson } from './canonical-json.ts';
import { canonicalEntry } from './log-entry.ts';
import { pem } from './pem.ts';
import { TransparencyLog } from './transparency-log.ts';
import { trustedRoot } from './trusted-root.ts';

const FULCIO = '1.3.6.1.4.1.57264.1';
const SCT_LIST = '1.3.6.1.4.1.11129.2.4.2';

/** Differences from a good signature by an identity. */
export interface Forgery {
  readonly root?: Partial<CertificateParts>;
  readonly intermediate?: Partial<CertificateParts>;
  /** Another authority between intermediate and leaf. */
  readonly second?: Partial<CertificateParts>;
  readonly leaf?: Partial<CertificateParts>;
  /** Which certificate's key signs the leaf; default: the last authority. */
  readonly signedBy?: 'itself' | 'root' | 'stranger';
  /** The log's promise for the certificate; default: right. */
  readonly promise?: 'of another certificate' | 'of another issuer' | 'of another log' | 'none';
  /** Changes the body that the log has and signs. */
  readonly body?: (body: ForgedBody, made: ForgedSignature) => object;
  /** Changes the entry in the bundle. */
  readonly entry?: (entry: ForgedEntry, made: ForgedSignature) => void;
  /** Changes the certificate that the bundle has. */
  readonly certificate?: (bytes: Buffer) => Buffer;
}

/** The body of a log entry. */
interface ForgedBody {
  readonly kind: string;
  readonly apiVersion: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** An entry in a bundle. */
export interface ForgedEntry {
  kindVersion: { kind: string; version: string };
  logIndex: string;
  logId: { keyId: string };
  integratedTime: string;
  inclusionPromise?: { signedEntryTimestamp: string };
  inclusionProof?: {
    logIndex: string;
    rootHash: string;
    treeSize: string;
    hashes: string[];
    checkpoint: { envelope: string };
  };
  canonicalizedBody: string;
}

/** A signature before it is logged, with the logs of the trusted root. */
export interface ForgedSignature {
  readonly leaf: ForgedCertificate;
  /** The signed bytes. */
  readonly signed: Buffer;
  readonly signature: string;
  readonly log: TransparencyLog;
  /** Another log of the trusted root. */
  readonly otherLog: TransparencyLog;
  /** A checkpoint of the log before the entry. */
  readonly earlier: ForgedEntry;
}

/** A forged bundle with its trusted root, both as JSON. */
export interface Forged {
  readonly bundle: ForgedBundle;
  readonly trustedRoot: string;
  /** The authorities of the certificate, the issuer first. */
  readonly authorities: readonly ForgedCertificate[];
}

/** The parts of a bundle that tests change. */
export interface ForgedBundle {
  readonly mediaType: string;
  readonly verificationMaterial: Record<string, unknown>;
  readonly dsseEnvelope: object;
}

/** Extensions of an authority. */
export function authorityExtensions(pathLength?: number): CertificateParts['extensions'] {
  return { basic: basicConstraints(true, pathLength), usage: keyUsage(5) };
}

/** Extensions of a signer's certificate, as Fulcio writes them, without the log's promise. */
export function leafExtensions(subject: string, issuer: string): CertificateParts['extensions'] {
  return {
    usage: keyUsage(0),
    purpose: extendedKeyUsage([Usage.code]),
    names: alternativeNames([[subject.includes('://') ? 'uri' : 'email', subject]]),
    issuer1: extension(`${FULCIO}.1`, Buffer.from(issuer)),
    issuer2: extension(`${FULCIO}.8`, der(0x0c, Buffer.from(issuer))),
  };
}

/** Signs a payload of an in-toto envelope as a subject, with the given differences. */
export function forge(
  { subject, issuer, payload }: Readonly<Record<'issuer' | 'payload' | 'subject', string>>,
  forgery: Forgery = {},
): Forged {
  const root = forgeCertificate({
    name: 'root',
    extensions: authorityExtensions(),
    ...forgery.root,
  });
  const intermediate = forgeCertificate(
    { name: 'intermediate', extensions: authorityExtensions(), ...forgery.intermediate },
    root,
  );
  const second =
    forgery.second === undefined
      ? []
      : [
          forgeCertificate(
            { name: 'second', extensions: authorityExtensions(), ...forgery.second },
            intermediate,
          ),
        ];
  const authorities = [...second, intermediate, root];
  const certificateLog = ecKeys();
  const leaf = leafOf(
    {
      name: '',
      ...forgery.leaf,
      extensions: forgery.leaf?.extensions ?? leafExtensions(subject, issuer),
    },
    authorities,
    certificateLog.privateKey,
    forgery,
  );
  const logKeys = ecKeys();
  const log = new TransparencyLog(logKeys, 'log.example');
  const { envelope, signed, signature } = envelopeOf(payload, leaf.keys.privateKey);
  const verifier = Buffer.from(pem('CERTIFICATE', leaf.der)).toString('base64');
  const spec = { proposedContent: { envelope: JSON.stringify(envelope), verifiers: [verifier] } };
  // In a log with one entry proofs have no hashes, which sigstore-go treats as no proof.
  log.add(firstEntry());
  const otherKeys = ecKeys();
  const otherLog = new TransparencyLog(otherKeys, 'log.example');
  otherLog.add(firstEntry());
  const made = { leaf, signed, signature, log, otherLog, earlier: entryOf(log, 0) };
  const body = canonicalEntry({ apiVersion: '0.0.1', kind: 'dsse', spec });
  const changed = forgery.body?.(JSON.parse(body.toString()) as ForgedBody, made);
  const { index } = log.append(changed === undefined ? body : Buffer.from(canonicalJson(changed)));
  const entry = entryOf(log, index);
  forgery.entry?.(entry, made);
  const rawBytes = (forgery.certificate ?? ((bytes) => bytes))(leaf.der).toString('base64');
  const tiled = generateKeyPairSync('ed25519').publicKey;
  const rootOf = (key: KeyObject): { readonly tlogs: readonly object[] } =>
    trustedRoot({
      url: 'https://log.example',
      log: key,
      tiledLog: { key: tiled, id: createHash('sha256').update('tiled').digest() },
      certificateLog: certificateLog.publicKey,
      certificates: authorities.map((authority) => authority.der),
      timestampCertificates: [],
    }) as { readonly tlogs: readonly object[] };
  return {
    bundle: {
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: {
        certificate: { rawBytes },
        tlogEntries: [entry],
        timestampVerificationData: { rfc3161Timestamps: [] },
      },
      dsseEnvelope: envelope,
    },
    trustedRoot: JSON.stringify({
      ...rootOf(logKeys.publicKey),
      tlogs: [logKeys, otherKeys].flatMap((keys) => rootOf(keys.publicKey).tlogs.slice(0, 1)),
    }),
    authorities,
  };
}

function leafOf(
  parts: CertificateParts,
  authorities: readonly ForgedCertificate[],
  logKey: KeyObject,
  { signedBy, promise }: Forgery,
): ForgedCertificate {
  const [issuer] = authorities;
  if (issuer === undefined) throw new Error('no authority');
  const keys = parts.keys ?? ecKeys();
  const stranger = { ...issuer, keys: ecKeys() };
  const root = { ...issuer, keys: (authorities.at(-1) ?? issuer).keys };
  const by = { itself: { ...issuer, keys }, root, stranger, issuer }[signedBy ?? 'issuer'];
  const whole = { ...parts, keys };
  if (promise === 'none') return forgeCertificate(whole, by);
  const logged = promise === 'of another certificate' ? { ...whole, serial: 2 } : whole;
  const issuerKeys = promise === 'of another issuer' ? stranger.keys : issuer.keys;
  const list = promiseList(
    toBeSigned(logged, by),
    issuerKeys.publicKey,
    promise === 'of another log'
      ? ecKeys()
      : { privateKey: logKey, publicKey: createPublicKey(logKey) },
  );
  const extensions = { ...parts.extensions, promise: extension(SCT_LIST, der(0x04, list)) };
  return forgeCertificate({ ...whole, extensions }, by);
}

/** Encodes a list of one signed certificate timestamp (RFC 6962, 3.2 and 3.3). */
function promiseList(certificate: Buffer, issuer: KeyObject, log: KeyPairKeyObjectResult): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Date.now()));
  const noExtensions = Buffer.alloc(2);
  const length = Buffer.alloc(3);
  length.writeUIntBE(certificate.length, 0, 3);
  const logged = Buffer.concat([
    // Version 1, certificate_timestamp.
    Buffer.of(0, 0),
    time,
    // precert_entry
    Buffer.of(0, 1),
    idOf(issuer),
    length,
    certificate,
    noExtensions,
  ]);
  const signature = sign('sha256', logged, log.privateKey);
  // Version 1; SHA-256 with ECDSA.
  const promise = Buffer.concat([
    Buffer.of(0),
    idOf(log.publicKey),
    time,
    noExtensions,
    Buffer.of(4, 3),
    vector(signature),
  ]);
  return vector(vector(promise));
}

function vector(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function idOf(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

interface Enveloped {
  readonly envelope: object;
  readonly signed: Buffer;
  readonly signature: string;
}

function envelopeOf(payload: string, key: KeyObject): Enveloped {
  const payloadType = 'application/vnd.in-toto+json';
  const { length } = Buffer.from(payload);
  const signed = Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${length} ${payload}`);
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const signature = sign(hash, signed, key).toString('base64');
  const signatures = [{ sig: signature }];
  const text = Buffer.from(payload).toString('base64');
  return { envelope: { payload: text, payloadType, signatures }, signed, signature };
}

function firstEntry(): object {
  const { publicKey, privateKey } = ecKeys();
  const content = Buffer.from('the first entry');
  const value = createHash('sha256').update(content).digest('hex');
  const key = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })).toString('base64');
  const signature = { content: sign('sha256', content, privateKey).toString('base64') };
  const data = { hash: { algorithm: 'sha256', value } };
  const spec = { data, signature: { ...signature, publicKey: { content: key } } };
  return { apiVersion: '0.0.1', kind: 'hashedrekord', spec };
}

interface LogView {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly logIndex: number;
      readonly treeSize: number;
      readonly rootHash: string;
      readonly hashes: readonly string[];
      readonly checkpoint: string;
    };
  };
}

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

/** Returns an entry of a log in the form of a bundle. */
function entryOf(log: TransparencyLog, index: number): ForgedEntry {
  const [entry] = Object.values(log.view(index) as Record<string, LogView>);
  if (entry === undefined) throw new Error('no such entry');
  const { inclusionProof: proof, signedEntryTimestamp } = entry.verification;
  const { kind, apiVersion } = JSON.parse(Buffer.from(entry.body, 'base64').toString()) as {
    kind: string;
    apiVersion: string;
  };
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: base64(entry.logID) },
    kindVersion: { kind, version: apiVersion },
    integratedTime: String(entry.integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: String(proof.logIndex),
      rootHash: base64(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map(base64),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: entry.body,
  };
}
