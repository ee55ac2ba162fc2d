import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import { Unusable } from './unusable.ts';

type Entry = Bundle['verificationMaterial']['tlogEntries'][number];

/** What signed, for comparison: the certificate's or the key's DER. */
export type SignedWith =
  | { readonly kind: 'certificate'; readonly der: Buffer }
  | { readonly kind: 'key'; readonly key: KeyObject };

/**
 * What the library that checks log entries does not: that the entry is of whoever signed, so that nobody can log the
 * signature of another as theirs, and that what is said beside the signed parts is what is in them.
 * @throws Unusable
 */
export function checkLogEntry(entry: Entry, signedWith: SignedWith): void {
  const body = parseBody(entry.canonicalizedBody);
  if (body.kind !== entry.kindVersion.kind || body.apiVersion !== entry.kindVersion.version)
    throw new Unusable('the log entry is of another kind than it says');
  const { inclusionProof } = entry;
  if (inclusionProof !== undefined) {
    const envelope = inclusionProof.checkpoint?.envelope ?? '';
    const [, size = '', root = ''] = envelope.split('\n');
    if (size !== inclusionProof.treeSize || root !== inclusionProof.rootHash.toString('base64'))
      throw new Unusable('the proof of the log entry is not for the tree of its checkpoint');
    requirePlainCheckpoint(envelope);
  }
  const verifiers = verifiersOf(body.spec);
  if (verifiers.length !== 1 || !isSame(verifiers[0], signedWith))
    throw new Unusable('the log entry is of another signer');
}

/** A signed note: lines of text, an empty one, lines of signatures. */
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
  if (!isPlain) throw new Unusable('the checkpoint of the log is not one');
}

interface Body {
  readonly kind: unknown;
  readonly apiVersion: unknown;
  readonly spec: unknown;
}

function parseBody(bytes: Buffer): Body {
  try {
    return JSON.parse(bytes.toString()) as Body;
  } catch {
    throw new Unusable('the log entry is not JSON');
  }
}

/** Where the kinds of entries have what checks their signature. */
function verifiersOf(spec: unknown): readonly Buffer[] {
  const hashedRekord = at(spec, 'signature', 'publicKey', 'content');
  if (hashedRekord !== undefined) return [base64(hashedRekord)];
  const dsse = at(spec, 'signatures');
  if (Array.isArray(dsse)) return dsse.map((item) => base64(at(item, 'verifier')));
  const inToto = at(spec, 'content', 'envelope', 'signatures');
  if (Array.isArray(inToto)) return inToto.map((item) => base64(at(item, 'publicKey')));
  const second = at(spec, 'hashedRekordV002', 'signature') ?? at(spec, 'dsseV002', 'signatures');
  return [second].flat().map((item) => {
    const raw =
      at(item, 'verifier', 'x509Certificate', 'rawBytes') ??
      at(item, 'verifier', 'publicKey', 'rawBytes');
    return base64(raw);
  });
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
