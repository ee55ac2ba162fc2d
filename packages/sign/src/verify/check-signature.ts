import { X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import type { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import type { SignedEntity } from '@sigstore/verify';
import { keyHint } from '../bundle/bundle.ts';
import { checkLogEntry, type SignedWith } from './check-log.ts';
import { keepCertificateEncoded } from '../bundle/encoded-certificate.ts';
import type { PublicKey } from '../keys/keys.ts';
import { trustMaterial } from '../sigstore/trust-material.ts';
import { Unusable } from './unusable.ts';
import type { Identity, SignedBy, Trust } from './verified.ts';

export interface CheckedSignature {
  readonly signer: SignedBy;
  readonly time: Date | undefined;
  readonly logIndex: number | undefined;
}

/** Nobody: what a key alone vouches for. */
const NO_ROOT: RootMessage = {
  mediaType: '',
  tlogs: [],
  certificateAuthorities: [],
  ctlogs: [],
  timestampAuthorities: [],
};

/**
 * Checks the signature of a bundle, its certificate, log entries and times.
 * @param payload what is signed, if it is not in the bundle
 * @throws Unusable
 */
export async function checkSignature(
  bundle: Bundle,
  payload: Buffer | undefined,
  trust: Trust,
): Promise<CheckedSignature> {
  const { content } = bundle.verificationMaterial;
  if (bundle.content.$case === 'dsseEnvelope') {
    const keyId = bundle.content.dsseEnvelope.signatures[0]?.keyid ?? '';
    const hint = content.$case === 'publicKey' ? content.publicKey.hint : '';
    if (keyId !== '' && keyId !== hint)
      throw new Unusable('its envelope names another key than the bundle does');
  }
  return content.$case === 'publicKey'
    ? checkKeySignature(bundle, content.publicKey.hint, payload, trust)
    : checkCertificateSignature(bundle, payload, trust);
}

async function checkKeySignature(
  bundle: Bundle,
  hint: string,
  payload: Buffer | undefined,
  { keys = [], root, keysNeedLog = false }: Trust,
): Promise<CheckedSignature> {
  if (keys.length === 0) throw new Unusable('it is signed with a key, and no key is trusted');
  const candidates = hint === '' ? keys : keys.filter((key) => keyHint(key) === hint);
  if (candidates.length === 0) throw new Unusable('it is signed with a key that is not trusted');
  if (keysNeedLog && root === undefined)
    throw new Unusable('there is no trusted root to check its log entry with');
  // Without a root, what the log and others say of it is not believed, so it is not asked for either.
  const checked = root === undefined ? withoutWitnesses(bundle) : bundle;
  const thresholds = {
    tlogThreshold: keysNeedLog ? 1 : 0,
    ctlogThreshold: 0,
    timestampThreshold: 0,
  };
  let problem: Unusable | undefined;
  for (const key of candidates) {
    try {
      const entity = await verifyBundle(
        checked,
        payload,
        root?.message ?? NO_ROOT,
        thresholds,
        key,
      );
      requireEntriesOf(checked, { kind: 'key', key: key.key });
      const signer = { kind: 'key', fingerprint: key.fingerprint, name: key.name } as const;
      return { signer, ...witnessed(checked, entity) };
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      problem ??= error;
    }
  }
  if (candidates.length > 1 || hint === '')
    throw new Unusable(`it is not signed with a key that is trusted: ${problem?.message}`);
  throw problem ?? new Unusable('it is signed with a key that is not trusted');
}

async function checkCertificateSignature(
  bundle: Bundle,
  payload: Buffer | undefined,
  { identities = [], root }: Trust,
): Promise<CheckedSignature> {
  if (root === undefined)
    throw new Unusable('it is signed with a certificate, and there is no trusted root');
  const leaf = leafOf(bundle, root.message);
  requireTimesWithin(bundle, leaf);
  const { certificateAuthorities, ctlogs } = root.message;
  if (certificateAuthorities.length === 0)
    throw new Unusable(`${root.name} trusts no certificate authority`);
  const thresholds = {
    tlogThreshold: 1,
    ctlogThreshold: ctlogs.length === 0 ? 0 : 1,
    timestampThreshold: 1,
  };
  const entity = await verifyBundle(bundle, payload, root.message, thresholds, undefined);
  requireEntriesOf(bundle, { kind: 'certificate', der: leaf.raw });
  const identity = identityOf(entity);
  const isTrusted = identities.some(
    ({ subject, issuer }) => subject === identity.subject && issuer === identity.issuer,
  );
  if (!isTrusted)
    throw new Unusable(
      `it is signed by ${identity.subject} (${identity.issuer}), who is not trusted`,
    );
  return { signer: { kind: 'identity', ...identity }, ...witnessed(bundle, entity) };
}

interface Verified extends SignedEntity {
  readonly identity: Identity | undefined;
}

interface Thresholds {
  readonly tlogThreshold: number;
  readonly ctlogThreshold: number;
  readonly timestampThreshold: number;
}

async function verifyBundle(
  bundle: Bundle,
  payload: Buffer | undefined,
  root: RootMessage,
  thresholds: Thresholds,
  key: PublicKey | undefined,
): Promise<Verified> {
  const { toSignedEntity, Verifier } = await import('@sigstore/verify');
  // Hostile bytes go through parsers that throw whatever they stumble over.
  try {
    const entity = toSignedEntity(bundle, payload);
    if (entity.key.$case === 'certificate') keepCertificateEncoded(entity.key.certificate);
    const material = await trustMaterial(root, key);
    const { identity } = new Verifier(material, thresholds).verify(entity);
    const subject = identity?.subjectAlternativeName;
    const issuer = identity?.extensions?.issuer;
    const isWhole = subject !== undefined && issuer !== undefined;
    return { ...entity, identity: isWhole ? { subject, issuer } : undefined };
  } catch (error) {
    throw new Unusable(inWords(error));
  }
}

/** What the codes of the verifier mean; the rest says what exactly. */
const WORDS: Readonly<Record<string, string>> = {
  CERTIFICATE_ERROR:
    'its certificate is not of a trusted authority, or not for the time it was used',
  PUBLIC_KEY_ERROR: 'its key is not trusted',
  SIGNATURE_ERROR: 'the signature is not of this content, or of another key',
  TIMESTAMP_ERROR: 'when it was signed is not proven',
  TLOG_BODY_ERROR: 'the log entry is of another signature',
  TLOG_ERROR: 'it is not in a trusted log',
  TLOG_INCLUSION_PROMISE_ERROR: 'the promise of the log is wrong, or of a log that is not trusted',
  TLOG_INCLUSION_PROOF_ERROR: 'the proof that it is in the log is wrong, or of a log not trusted',
  TLOG_MISSING_INCLUSION_ERROR: 'there is no proof that it is in the log',
};

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return 'it cannot be read';
  const words = 'code' in error ? WORDS[String(error.code)] : undefined;
  return words === undefined
    ? `it cannot be read: ${error.message}`
    : `${words} (${error.message})`;
}

function identityOf({ identity }: Verified): Identity {
  if (identity !== undefined) return identity;
  throw new Unusable('its certificate names nobody, or not who says so');
}

/** The certificate that signed. Others beside it must be ones that are trusted anyway. */
function leafOf({ verificationMaterial }: Bundle, root: RootMessage): X509Certificate {
  const { content } = verificationMaterial;
  const [leaf, ...others] =
    content.$case === 'certificate'
      ? [content.certificate]
      : content.$case === 'x509CertificateChain'
        ? content.x509CertificateChain.certificates
        : [];
  const trusted = root.certificateAuthorities.flatMap(
    ({ certChain }) => certChain?.certificates ?? [],
  );
  if (!others.every((other) => trusted.some(({ rawBytes }) => rawBytes.equals(other.rawBytes))))
    throw new Unusable('it has a certificate of an authority that is not trusted');
  try {
    return new X509Certificate(leaf?.rawBytes ?? Buffer.of());
  } catch {
    throw new Unusable('its certificate cannot be read');
  }
}

/** The verifier checks it too, but does not say it. */
function requireTimesWithin({ verificationMaterial }: Bundle, leaf: X509Certificate): void {
  for (const { integratedTime } of verificationMaterial.tlogEntries) {
    const time = new Date(Number(integratedTime) * 1000);
    if (time >= leaf.validFromDate && time <= leaf.validToDate) continue;
    const [from, to, at] = [leaf.validFromDate, leaf.validToDate, time].map(readable);
    throw new Unusable(
      `its certificate was valid from ${from} to ${to}, and not when it was logged, ${at}`,
    );
  }
}

function readable(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'never' : date.toISOString();
}

function requireEntriesOf({ verificationMaterial }: Bundle, signedWith: SignedWith): void {
  for (const entry of verificationMaterial.tlogEntries) checkLogEntry(entry, signedWith);
}

function withoutWitnesses(bundle: Bundle): Bundle {
  const verificationMaterial = {
    ...bundle.verificationMaterial,
    tlogEntries: [],
    timestampVerificationData: { rfc3161Timestamps: [] },
  };
  return { ...bundle, verificationMaterial };
}

/** A timestamp authority's word before the log's, which anybody may have asked for later. */
function witnessed(
  { verificationMaterial }: Bundle,
  { timestamps }: SignedEntity,
): Pick<CheckedSignature, 'time' | 'logIndex'> {
  const [entry] = verificationMaterial.tlogEntries;
  const stamps = timestamps.flatMap((item) =>
    item.$case === 'timestamp-authority' ? [item.timestamp.signingTime] : [],
  );
  const hasPromise = entry?.inclusionPromise !== undefined;
  const logTime = hasPromise ? new Date(Number(entry.integratedTime) * 1000) : undefined;
  // The promise is about the index of the entry; a proof, about its own.
  const index = hasPromise ? entry.logIndex : entry?.inclusionProof?.logIndex;
  return {
    time: stamps[0] ?? logTime,
    logIndex: index === undefined ? undefined : Number(index),
  };
}
