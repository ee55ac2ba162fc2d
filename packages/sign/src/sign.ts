import { digestHex, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatReference,
  type Reference,
  type Store,
  writeReferrer,
} from '@lkt/oci';
import { type SignedStatement, signStatement } from './bundle.ts';
import {
  BUNDLE_CONTENT,
  BUNDLE_PREDICATE,
  BUNDLE_V03,
  SIGNATURE_ARTIFACT,
  SIMPLE_SIGNING,
} from './formats.ts';
import type { Signer } from './signer.ts';
import { signSimply } from './simple-signing.ts';
import { SIGNATURE_PREDICATE, type Statement, statementAbout } from './statement.ts';

export interface ImageToSign {
  readonly subject: Descriptor;
  /** What it is called where it will be: domain and path. */
  readonly name: Reference;
  /** What else is to be signed of it: provenance, an SBOM. Each names the image as a subject. */
  readonly statements?: readonly Statement[];
  readonly signer: Signer;
  readonly signal?: AbortSignal;
}

/** The referrers that came about. */
export interface SignedImage {
  /** Bundles: of the signature first, then one for each statement. */
  readonly bundles: readonly Descriptor[];
  /** The signature in the form of cosign 2. */
  readonly simple: Descriptor;
}

/**
 * Signs an image and statements about it, and puts the signatures beside it in the store; `pushSignatures` brings them
 * to a registry. Signing twice makes two signatures.
 * @throws LktError ACCESS_DENIED, NETWORK_FAILED, UNSUPPORTED; nothing is in the store then
 */
export async function signImage(store: Store, image: ImageToSign): Promise<SignedImage> {
  const { subject, statements = [], signer, signal } = image;
  const { domain, path } = image.name;
  const name = formatReference({ domain, path });
  for (const statement of statements) requireSubject(statement, subject, name);
  await using session = await signer.open(signal);
  const signature = statementAbout({ name, digest: subject.digest }, SIGNATURE_PREDICATE, {});
  const signed: SignedStatement[] = [];
  for (const statement of [signature, ...statements])
    signed.push(await signStatement(session, statement));
  const { payload, annotations } = await signSimply(session, name, subject.digest);

  const bundles: Descriptor[] = [];
  for (const item of signed) bundles.push(await writeBundle(store, subject, item));
  const layer = { mediaType: SIMPLE_SIGNING, ...(await store.writeBytes(payload)), annotations };
  const simple = await writeReferrer(store, {
    subject,
    artifactType: SIGNATURE_ARTIFACT,
    layers: [layer],
  });
  await store.addReferrer(...bundles, simple);
  return { bundles, simple };
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

/** A statement about something else would be signed, put here, and count for nothing. */
function requireSubject(statement: Statement, { digest }: Descriptor, name: string): void {
  const isAbout = statement.subject.some((item) => item.digest?.['sha256'] === digestHex(digest));
  if (isAbout) return;
  throw new LktError(
    'IMAGE_INVALID',
    `a statement (${statement.predicateType}) to be signed for ${name} is not about ${digest}`,
  );
}
