import { type Digest, digestAlgorithm, digestHex, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatReference,
  type Reference,
  type Store,
  writeReferrer,
} from '@lkt/oci';
import { type SignedStatement, signStatement } from '../bundle/sign-statement.ts';
import type {
  CollectedSignatures,
  UnverifiedSignature,
} from '../referrers/collected-signatures.ts';
import {
  BUNDLE_CONTENT,
  BUNDLE_PREDICATE,
  BUNDLE_V03,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from '../bundle/formats.ts';
import { findExistingSignatures } from './existing-signatures.ts';
import type { Signer, SigningSession } from './signer.ts';
import { type SimpleSignature, simplePayload, signSimply } from '../bundle/simple-signing.ts';
import {
  SIGNATURE_PREDICATE,
  type Statement,
  statementAbout,
  statementBytes,
} from '../statement/statement.ts';
import { type SignerId, signerOfKey } from '../verify/verification.ts';
import { verifyImage } from '../verify/verify-image.ts';

/** An image to sign, with statements about it. */
interface ImageToSign {
  readonly subject: Descriptor;
  /**
   * Statements to sign as well, such as provenance or an SBOM. Each must name the image as a
   * subject.
   */
  readonly statements?: readonly Statement[];
  /** Signatures beside the image; those by the same signer are not repeated. */
  readonly existing?: CollectedSignatures;
}

interface SignOptions {
  /** Name in the target registry: domain and path. */
  readonly name: Reference;
  readonly signer: Signer;
  readonly signal?: AbortSignal | undefined;
}

/** Options of `signImages`. */
export interface ImagesToSign extends SignOptions {
  readonly images: readonly ImageToSign[];
  /**
   * Images of others that an index names. If the signer has not signed all of them, nothing is
   * signed.
   */
  readonly foreign?: readonly {
    readonly digest: Digest;
    /** For messages. */
    readonly name: string;
    readonly existing: CollectedSignatures;
  }[];
  /**
   * Sign the statements only, for a party that attests facts about an image without approving it.
   */
  readonly statementsOnly?: boolean;
}

/** The referrers that were written. */
export interface SignedImage {
  readonly subject: Descriptor;
  /**
   * Bundles: of the signature first, then of each statement; without existing or unrequested ones.
   */
  readonly bundles: readonly Descriptor[];
  /** The signature in cosign 2's form; undefined if it exists, or was not requested or possible. */
  readonly simple: Descriptor | undefined;
}

/**
 * Signs an image and statements about it, and writes the signatures to the store as referrers;
 * `pushSignatures` pushes them. Signing twice makes two signatures.
 * @throws ACCESS_DENIED, NETWORK_FAILED, UNSUPPORTED, IMAGE_INVALID, SIGNATURE_INVALID; the store
 * is then unchanged
 */
export async function signImage(
  store: Store,
  { name, signer, signal, ...image }: ImageToSign & SignOptions,
): Promise<SignedImage> {
  const options = { name, signer, signal };
  const [signed] = (await signImages(store, { ...options, images: [image] })).images;
  if (signed === undefined) throw new Error('nothing was signed');
  return signed;
}

/**
 * Signs several images with one certificate. Writes to the store only after all of them are signed.
 * @throws ACCESS_DENIED, NETWORK_FAILED, UNSUPPORTED; IMAGE_INVALID if a statement is about another
 * image; SIGNATURE_INVALID if a foreign image is unsigned, or the signer's own trusted root rejects
 * a new signature
 * @example
 * ```ts
 * const existing = await collectFromStore(store, subject.digest);
 * const { images } = await signImages(store, { images: [{ subject, existing }], name, signer });
 * await pushSignatures(registry, store, name, subject.digest);
 * ```
 */
export async function signImages(
  store: Store,
  {
    images,
    foreign = [],
    name: { domain, path },
    statementsOnly = false,
    signer,
    signal,
  }: ImagesToSign,
): Promise<{ readonly signer: SignerId; readonly images: readonly SignedImage[] }> {
  const name = formatReference({ domain, path });
  for (const { subject, statements = [] } of images)
    for (const statement of statements) requireSubject(statement, subject, name);
  await using session = await signer.open(signal);
  for (const { digest, name: image, existing } of foreign)
    if (!(await findExistingSignatures(existing, digest, session)).isSigned)
      throw unsigned(image, digest);
  const made: NewSignatures[] = [];
  for (const image of images) made.push(await sign(session, name, image, statementsOnly));
  for (const one of made) await check(session, one);
  const signed: SignedImage[] = [];
  for (const one of made) signed.push(await write(store, one));
  const all = signed.flatMap(({ bundles, simple }) => [...bundles, ...(simple ? [simple] : [])]);
  if (all.length > 0) await store.addReferrer(...all);
  return { signer: signedBy(session), images: signed };
}

/** The new signatures of an image, not written yet. */
interface NewSignatures {
  readonly subject: Descriptor;
  readonly statements: readonly SignedStatement[];
  readonly simple: SimpleSignature | undefined;
}

async function sign(
  session: SigningSession,
  name: string,
  { subject, statements = [], existing = NOTHING }: ImageToSign,
  statementsOnly: boolean,
): Promise<NewSignatures> {
  const { digest } = subject;
  const before = await findExistingSignatures(existing, digest, session);
  const signature = statementAbout({ name, digest }, SIGNATURE_PREDICATE, {});
  const signed: SignedStatement[] = [];
  for (const statement of [...(statementsOnly ? [] : [signature]), ...statements])
    if (!before.has('bundle', statementBytes(statement)))
      signed.push(await signStatement(session, statement));
  const simple =
    statementsOnly || !session.canSignSimply || before.has('signature', simplePayload(name, digest))
      ? undefined
      : await signSimply(session, name, digest);
  return { subject, statements: signed, simple };
}

/** Verifies the new signatures with the signer's trusted root, if it has one. */
async function check(
  session: SigningSession,
  { subject, statements, simple }: NewSignatures,
): Promise<void> {
  const { root, material } = session;
  if (root === undefined) return;
  const trust =
    material.kind === 'key'
      ? { root, keys: [material.publicKey] }
      : { root, identities: [material.identity] };
  const items: UnverifiedSignature[] = statements.map(({ bytes, predicateType: source }) => ({
    kind: 'bundle',
    source,
    bytes,
  }));
  if (simple !== undefined) {
    const { payload: bytes, annotations } = simple;
    items.push({ kind: 'signature', source: 'the signature', bytes, annotations });
  }
  const collected = { items, unreadable: [] };
  const { rejections } = await verifyImage({ subject: subject.digest, collected, trust });
  const [first] = rejections;
  if (first === undefined) return;
  throw new LktError(
    'SIGNATURE_INVALID',
    `${root.name} rejects the new signature: ${first.reason}`,
    { fix: 'pass the trusted root of the signing instance' },
  );
}

const NOTHING: CollectedSignatures = { items: [], unreadable: [] };

async function write(
  store: Store,
  { subject, statements, simple }: NewSignatures,
): Promise<SignedImage> {
  const bundles: Descriptor[] = [];
  for (const item of statements) bundles.push(await writeBundle(store, subject, item));
  if (simple === undefined) return { subject, bundles, simple };
  const { payload, annotations } = simple;
  const layer = { mediaType: SIMPLE_SIGNING, ...(await store.writeBytes(payload)), annotations };
  const referrer = { subject, artifactType: SIGNATURE_ARTIFACT, layers: [layer] };
  return { subject, bundles, simple: await writeReferrer(store, referrer) };
}

async function writeBundle(
  store: Store,
  subject: Descriptor,
  { bytes, predicateType, time }: SignedStatement,
): Promise<Descriptor> {
  const layer = { mediaType: BUNDLE_V03, ...(await store.writeBytes(bytes)) };
  const created = time?.toISOString().replace(/\.\d+Z$/, 'Z');
  return writeReferrer(store, {
    subject,
    artifactType: BUNDLE_V03,
    layers: [layer],
    annotations: {
      [BUNDLE_CONTENT]: 'dsse-envelope',
      [BUNDLE_PREDICATE]: predicateType,
      ...(created === undefined ? {} : { 'org.opencontainers.image.created': created }),
    },
  });
}

function signedBy({ material }: SigningSession): SignerId {
  return material.kind === 'certificate'
    ? { kind: 'identity', ...material.identity }
    : signerOfKey(material.publicKey);
}

/** A signed statement about another image would never verify. */
function requireSubject(statement: Statement, { digest }: Descriptor, name: string): void {
  const algorithm = digestAlgorithm(digest);
  const isAbout = statement.subject.some((item) => item.digest?.[algorithm] === digestHex(digest));
  if (isAbout) return;
  throw new LktError(
    'IMAGE_INVALID',
    `the statement ${statement.predicateType} for ${name} is not about ${digest}`,
  );
}

function unsigned(name: string, digest: Digest): LktError {
  return new LktError(
    'SIGNATURE_INVALID',
    `${name} (${digest}) has no signature by the signer of its index`,
    { fix: 'check its origin, then run `lkt pkg sign NAME@DIGEST`' },
  );
}
