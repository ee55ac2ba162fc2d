import { type Digest, digestHex, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatReference,
  type Reference,
  type Store,
  writeReferrer,
} from '@lkt/oci';
import { type SignedStatement, signStatement } from '../bundle/bundle.ts';
import type { Evidence, EvidenceItem } from '../evidence/evidence.ts';
import {
  BUNDLE_CONTENT,
  BUNDLE_PREDICATE,
  BUNDLE_V03,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from '../bundle/formats.ts';
import { findSignedBefore } from './signed-before.ts';
import type { Signer, SigningSession } from './signer.ts';
import { type SimpleSignature, simplePayload, signSimply } from '../bundle/simple-signing.ts';
import {
  SIGNATURE_PREDICATE,
  type Statement,
  statementAbout,
  statementBytes,
} from '../statement/statement.ts';
import type { SignedBy } from '../verify/verified.ts';
import { verifyImage } from '../verify/verify.ts';

interface Subject {
  readonly subject: Descriptor;
  /** What else is to be signed of it: provenance, an SBOM. Each names the image as a subject. */
  readonly statements?: readonly Statement[];
}

export interface ImageToSign extends Subject {
  /** What it is called where it will be: domain and path. */
  readonly name: Reference;
  readonly signer: Signer;
  readonly signal?: AbortSignal;
}

export interface ImagesToSign {
  readonly images: readonly (Subject & {
    /** What is beside the image: what the same signer has signed there is not signed again. */
    readonly known?: Evidence;
  })[];
  /** Images that the same signer must have signed before, or nothing is signed: what an index names of others. */
  readonly foreign?: readonly {
    readonly digest: Digest;
    /** For people. */
    readonly name: string;
    readonly known: Evidence;
  }[];
  /** What they are called where they will be: domain and path. */
  readonly name: Reference;
  /** The statements alone: whoever says what they found out about an image has not said that it is theirs. */
  readonly statementsOnly?: boolean;
  readonly signer: Signer;
  readonly signal?: AbortSignal | undefined;
}

/** The referrers that came about. */
export interface SignedImage {
  readonly subject: Descriptor;
  /** Bundles: of the signature first, then one for each statement. Less what was there, or not asked for. */
  readonly bundles: readonly Descriptor[];
  /** The signature in the form of cosign 2; undefined if it was there, or not asked for. */
  readonly simple: Descriptor | undefined;
}

/**
 * Signs an image and statements about it, and puts the signatures beside it in the store; `pushSignatures` brings them
 * to a registry. Signing twice makes two signatures.
 * @throws LktError ACCESS_DENIED, NETWORK_FAILED, UNSUPPORTED; nothing is in the store then
 */
export async function signImage(
  store: Store,
  { subject, statements, ...options }: ImageToSign,
): Promise<SignedImage> {
  const image = { subject, statements };
  const [signed] = (await signImages(store, { ...options, images: [image] })).images;
  if (signed === undefined) throw new Error('nothing was signed');
  return signed;
}

/**
 * Signs several images as one, with one certificate: all of them are signed before the first signature is in the store.
 * @throws LktError ACCESS_DENIED, NETWORK_FAILED, UNSUPPORTED; SIGNATURE_INVALID when one of others is not signed, or
 * what was signed is not good by the signer's own trusted root
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
): Promise<{ readonly signer: SignedBy; readonly images: readonly SignedImage[] }> {
  const name = formatReference({ domain, path });
  for (const { subject, statements = [] } of images)
    for (const statement of statements) requireSubject(statement, subject, name);
  await using session = await signer.open(signal);
  for (const { digest, name: image, known } of foreign)
    if (!(await findSignedBefore(known, digest, session)).isSigned) throw unsigned(image, digest);
  const made: Made[] = [];
  for (const image of images) made.push(await sign(session, name, image, statementsOnly));
  for (const one of made) await check(session, one);
  const signed: SignedImage[] = [];
  for (const one of made) signed.push(await write(store, one));
  const all = signed.flatMap(({ bundles, simple }) => [...bundles, ...(simple ? [simple] : [])]);
  if (all.length > 0) await store.addReferrer(...all);
  return { signer: signedBy(session), images: signed };
}

/** What was signed of an image, before any of it is kept. */
interface Made {
  readonly subject: Descriptor;
  readonly statements: readonly SignedStatement[];
  readonly simple: SimpleSignature | undefined;
}

async function sign(
  session: SigningSession,
  name: string,
  { subject, statements = [], known = NOTHING }: ImagesToSign['images'][number],
  statementsOnly: boolean,
): Promise<Made> {
  const { digest } = subject;
  const before = await findSignedBefore(known, digest, session);
  const signature = statementAbout({ name, digest }, SIGNATURE_PREDICATE, {});
  const signed: SignedStatement[] = [];
  for (const statement of [...(statementsOnly ? [] : [signature]), ...statements])
    if (!before.has('bundle', statementBytes(statement)))
      signed.push(await signStatement(session, statement));
  const simple =
    statementsOnly || before.has('signature', simplePayload(name, digest))
      ? undefined
      : await signSimply(session, name, digest);
  return { subject, statements: signed, simple };
}

/** Whether others will find it good, if it is known whom they trust. */
async function check(
  session: SigningSession,
  { subject, statements, simple }: Made,
): Promise<void> {
  const { root, material } = session;
  if (root === undefined) return;
  const trust =
    material.kind === 'key'
      ? { root, keys: [material.publicKey] }
      : { root, identities: [material.identity] };
  const items: EvidenceItem[] = statements.map(({ bytes, predicateType: source }) => ({
    kind: 'bundle',
    source,
    bytes,
  }));
  if (simple !== undefined) {
    const { payload: bytes, annotations } = simple;
    items.push({ kind: 'signature', source: 'the signature', bytes, annotations });
  }
  const evidence = { items, unreadable: [] };
  const { rejections } = await verifyImage({ subject: subject.digest, evidence, trust });
  const [first] = rejections;
  if (first === undefined) return;
  throw new LktError(
    'SIGNATURE_INVALID',
    `what was signed would be refused by ${root.name}: ${first.reason}`,
    { fix: 'name the trusted root of the instance that signs, or another instance' },
  );
}

const NOTHING: Evidence = { items: [], unreadable: [] };

async function write(store: Store, { subject, statements, simple }: Made): Promise<SignedImage> {
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

function signedBy({ material }: SigningSession): SignedBy {
  if (material.kind === 'certificate') return { kind: 'identity', ...material.identity };
  const { fingerprint, name } = material.publicKey;
  return { kind: 'key', fingerprint, name };
}

/** A statement about something else would be signed, put here, and count for nothing. */
function requireSubject(statement: Statement, { digest }: Descriptor, name: string): void {
  const isAbout = statement.subject.some((item) => item.digest?.['sha256'] === digestHex(digest));
  if (isAbout) return;
  throw new LktError(
    'IMAGE_INVALID',
    `a statement (${statement.predicateType}) to be signed for ${name} is not about ${digest}`,
  );
}

function unsigned(name: string, digest: Digest): LktError {
  return new LktError(
    'SIGNATURE_INVALID',
    `${name} (${digest}) is not signed by who signs the index it would be in`,
    { fix: 'find out where it comes from; sign it there, or here with `lkt pkg sign NAME@DIGEST`' },
  );
}
