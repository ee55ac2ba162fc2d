import { X509Certificate } from 'node:crypto';
import { longestString } from '@lkt/core';
import type { Bundle } from '@sigstore/bundle';
import { bundleFromLayer } from './bundle-from-layer.ts';
import { parseJson } from './parse-json.ts';
import type { UnverifiedSignature } from '../referrers/collected-signatures.ts';
import { VerificationError } from '../verify/verification-error.ts';

/** Media types of bundle versions 0.1 to 0.3. */
const MEDIA_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
]);

/** A signature of either form as a bundle. */
export interface ParsedSignature {
  readonly bundle: Bundle;
  /** The signed bytes of a detached signature; undefined if the bundle contains them. */
  readonly payload: Buffer | undefined;
}

/**
 * Parses a signature of either form.
 * @throws VerificationError
 */
export async function parseSignature(item: UnverifiedSignature): Promise<ParsedSignature> {
  if (item.kind !== 'signature') requireSmall(item.bytes);
  const document =
    item.kind === 'bundle' ? parseJson(item.bytes.toString(), 'the bundle') : bundleFromLayer(item);
  requireBounded(document, item.bytes.length);
  const bundle = await bundleFrom(document);
  const payload = item.kind === 'signature' ? item.bytes : undefined;
  if (bundle.content.$case === 'messageSignature' && payload === undefined)
    throw new VerificationError('the bundle lacks the content that it signs');
  return { bundle, payload };
}

/** Bytes of a bundle without its payload; those of Sigstore have about 10 KB. */
const MAX_MATERIAL_BYTES = 2 ** 20;
/** Entries of each list in a bundle; a proof of inclusion has one per level of the log's tree. */
const MAX_ENTRIES = 64;

/**
 * Requires that a document can have less than `MAX_MATERIAL_BYTES` without its payload, which is a
 * string: parsing 60 MB of empty objects takes half a minute.
 * @throws VerificationError
 */
function requireSmall(bytes: Buffer): void {
  if (bytes.length <= MAX_MATERIAL_BYTES) return;
  const text = bytes.toString('latin1');
  if (text.length - longestString(text) > MAX_MATERIAL_BYTES) throw tooLarge();
}

function tooLarge(): VerificationError {
  return new VerificationError('the bundle is larger than 1 MiB without its payload');
}

/**
 * Requires that a document is small, apart from the payload of a statement: the library takes
 * minutes for lists with a million entries.
 * @throws VerificationError
 */
function requireBounded(document: object, size: number): void {
  const { dsseEnvelope } = document as { dsseEnvelope?: { payload?: unknown } };
  const payload = dsseEnvelope?.payload;
  if (size - (typeof payload === 'string' ? payload.length : 0) > MAX_MATERIAL_BYTES)
    throw tooLarge();
  const open: object[] = [document];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const values: readonly unknown[] = Object.values(value);
    if (values.length > MAX_ENTRIES)
      throw new VerificationError(`the bundle has a list of more than ${MAX_ENTRIES} entries`);
    for (const inner of values) if (typeof inner === 'object' && inner !== null) open.push(inner);
  }
}

/** Returns the certificates in a bundle in DER, the signer's first; none for a key. */
export function certificatesOf({ verificationMaterial: { content } }: Bundle): readonly Buffer[] {
  if (content.$case === 'publicKey') return [];
  const certificates =
    content.$case === 'certificate'
      ? [content.certificate]
      : content.x509CertificateChain.certificates;
  return certificates.map(({ rawBytes }) => rawBytes);
}

/**
 * Returns the signer's certificate in a bundle; undefined for a key.
 * @throws VerificationError if it cannot be parsed
 */
export function signerCertificate(bundle: Bundle): X509Certificate | undefined {
  const [leaf] = certificatesOf(bundle);
  try {
    return leaf === undefined ? undefined : new X509Certificate(leaf);
  } catch {
    throw new VerificationError('the certificate cannot be parsed');
  }
}

/**
 * Converts a JSON document to a bundle. Everything in it must take part in verification: an unknown
 * field, or a value that is not in canonical form, is an error. sigstore-go rejects unknown fields
 * too.
 */
async function bundleFrom(document: object): Promise<Bundle> {
  const { bundleFromJSON, bundleToJSON } = await import('@sigstore/bundle');
  const { mediaType } = document as { mediaType?: unknown };
  if (typeof mediaType !== 'string' || !MEDIA_TYPES.has(mediaType))
    throw new VerificationError('not a Sigstore bundle of a supported version');
  let bundle: Bundle;
  let understood: unknown;
  try {
    bundle = bundleFromJSON(document);
    understood = bundleToJSON(bundle);
  } catch (error) {
    throw new VerificationError(describeError(error));
  }
  requireUnderstood(document, understood, 'bundle');
  return bundle;
}

/** The library's error lists the missing fields. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return 'not a Sigstore bundle';
  const { fields } = error as { fields?: unknown };
  return Array.isArray(fields)
    ? `incomplete Sigstore bundle: ${fields.join(', ')}`
    : `not a Sigstore bundle: ${error.message}`;
}

/**
 * Requires that every field of `given` is in `understood`, the same document after a round trip
 * through the library.
 */
function requireUnderstood(given: unknown, understood: unknown, at: string): void {
  if (understood === undefined && isDefault(given)) return;
  if (typeof given !== 'object' || given === null) {
    // A 64-bit number may be a JSON number or a string.
    if (isSameScalar(given, understood)) return;
    throw new VerificationError(
      understood === undefined ? `unknown field ${at}` : `${at} is not in canonical form`,
    );
  }
  const isList = Array.isArray(given);
  if (typeof understood !== 'object' || understood === null || Array.isArray(understood) !== isList)
    throw new VerificationError(`unknown field ${at}`);
  if (isList && given.length !== (understood as unknown[]).length)
    throw new VerificationError(`unsupported list ${at}`);
  for (const [key, value] of Object.entries(given))
    requireUnderstood(value, (understood as Record<string, unknown>)[key], `${at}.${key}`);
}

function isSameScalar(given: unknown, understood: unknown): boolean {
  if (typeof given === 'number') return given === understood || String(given) === understood;
  return given === understood;
}

/** Reports whether a value is a default, which ProtoJSON may omit. */
function isDefault(given: unknown): boolean {
  if (Array.isArray(given)) return given.length === 0;
  if (typeof given === 'object' && given !== null) return Object.keys(given).length === 0;
  return given === null || given === '' || given === '0' || given === 0 || given === false;
}
