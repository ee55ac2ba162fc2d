import { parseJson } from '../bundle/parse-json.ts';
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import { VerificationError } from './verification-error.ts';

type Entry = Bundle['verificationMaterial']['tlogEntries'][number];

/** The certificate's DER or the key that signed, to compare with a log entry. */
export type SignedWith =
  | { readonly kind: 'certificate'; readonly der: Buffer }
  | { readonly kind: 'key'; readonly key: KeyObject };

/**
 * Checks a log entry where the library does not: that it names the actual signer, so that no party
 * can log another party's signature as their own, and that its unsigned fields agree with the
 * signed ones.
 * @throws VerificationError
 */
export function checkLogEntry(entry: Entry, signedWith: SignedWith): void {
  const body = parseBody(entry.canonicalizedBody);
  if (body.kind !== entry.kindVersion.kind || body.apiVersion !== entry.kindVersion.version)
    throw new VerificationError('the log entry has another kind or version than it states');
  const { inclusionProof } = entry;
  if (inclusionProof !== undefined) {
    const envelope = inclusionProof.checkpoint?.envelope ?? '';
    const [, size = '', root = ''] = envelope.split('\n');
    if (size !== inclusionProof.treeSize || root !== inclusionProof.rootHash.toString('base64'))
      throw new VerificationError('the inclusion proof does not match the checkpoint');
    requirePlainCheckpoint(envelope);
  }
  requireSha256(body.spec);
  const verifiers = verifiersOf(body);
  if (verifiers.length !== 1 || !isSame(verifiers[0], signedWith))
    throw new VerificationError('the log entry belongs to another signer');
}

/** Requires a signed note: lines of text, an empty line, signature lines. */
function requirePlainCheckpoint(envelope: string): void {
  const end = envelope.indexOf('\n\n');
  const lines = envelope.slice(end + 2).split('\n');
  const isPlain =
    end !== -1 &&
    lines.pop() === '' &&
    lines.every((line) => {
      const text = /^\u2014 \S+ (\S+)$/.exec(line)?.[1];
      return text !== undefined && base64(text).toString('base64') === text;
    });
  if (!isPlain) throw new VerificationError('the checkpoint is malformed');
}

interface Body {
  readonly kind: unknown;
  readonly apiVersion: unknown;
  readonly spec: unknown;
}

function parseBody(bytes: Buffer): Body {
  return parseJson(bytes.toString(), 'the log entry') as Body;
}

/** Returns the verifiers of an entry, which each kind and version has elsewhere. */
function verifiersOf({ kind, apiVersion, spec }: Body): readonly Buffer[] {
  const list = (...path: readonly string[]): readonly unknown[] => {
    const found = at(spec, ...path);
    return Array.isArray(found) ? found : [];
  };
  switch (`${String(kind)} ${String(apiVersion)}`) {
    case 'hashedrekord 0.0.1':
      return [base64(at(spec, 'signature', 'publicKey', 'content'))];
    case 'dsse 0.0.1':
      return list('signatures').map((item) => base64(at(item, 'verifier')));
    case 'intoto 0.0.2':
      return list('content', 'envelope', 'signatures').map((item) => base64(at(item, 'publicKey')));
    case 'hashedrekord 0.0.2':
      return [rawVerifier(at(spec, 'hashedRekordV002', 'signature'))];
    case 'dsse 0.0.2':
      return list('dsseV002', 'signatures').map(rawVerifier);
    default:
      return [];
  }
}

function rawVerifier(signature: unknown): Buffer {
  const raw =
    at(signature, 'verifier', 'x509Certificate', 'rawBytes') ??
    at(signature, 'verifier', 'publicKey', 'rawBytes');
  return base64(raw);
}

/** Names of SHA-256, the hash that the library compares, whatever an entry says. */
const SHA256: ReadonlySet<unknown> = new Set(['sha256', 'SHA2_256', undefined]);

/** Requires that the digest in an entry is by SHA-256. */
function requireSha256(spec: unknown): void {
  const algorithms = [
    at(spec, 'data', 'hash', 'algorithm'),
    at(spec, 'payloadHash', 'algorithm'),
    at(spec, 'content', 'payloadHash', 'algorithm'),
    at(spec, 'hashedRekordV002', 'data', 'algorithm'),
    at(spec, 'dsseV002', 'payloadHash', 'algorithm'),
  ];
  if (!algorithms.every((algorithm) => SHA256.has(algorithm)))
    throw new VerificationError('the log entry has a digest that is not by SHA-256');
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inside, key) =>
      typeof inside === 'object' && inside !== null
        ? (inside as Record<string, unknown>)[key]
        : undefined,
    value,
  );
}

function base64(text: unknown): Buffer {
  return Buffer.from(typeof text === 'string' ? text : '', 'base64');
}

function isSame(verifier: Buffer | undefined, signedWith: SignedWith): boolean {
  if (verifier === undefined) return false;
  try {
    if (signedWith.kind === 'certificate')
      return new X509Certificate(verifier).raw.equals(signedWith.der);
    const key = verifier.includes('-----BEGIN')
      ? createPublicKey(verifier)
      : createPublicKey({ key: verifier, format: 'der', type: 'spki' });
    return key.equals(signedWith.key);
  } catch {
    return false;
  }
}
