import { verify, type X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import type { TimeRange, TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import type { SignedEntity, VerifierOptions } from '@sigstore/verify';
import {
  certificatesOf,
  type ParsedSignature,
  signerCertificate,
} from '../bundle/parse-signature.ts';
import { keyHint } from '../bundle/sign-statement.ts';
import { checkLogEntry, type SignedWith } from './check-log.ts';
import { cacheCertificateEncoding } from '../bundle/cached-encoding.ts';
import { type PublicKey, signatureHash } from '../keys/keys.ts';
import { trustMaterial, type UsableMaterial } from '../sigstore/trust-material.ts';
import { VerificationError } from './verification-error.ts';
import { signerProblem } from '../sigstore/certificate-profile.ts';
import { identityOfCertificate } from './certificate-identity.ts';
import { identityProblem } from './trusted-identity.ts';
import { signerOfKey, type TrustedSigners, type VerifiedSignature } from './verification.ts';

/** A verified signature, with time and log index if the trusted root confirms them. */
type CheckedSignature = Pick<VerifiedSignature, 'claims' | 'logIndex' | 'signer' | 'time'>;

/** A root without authorities, for signatures by keys. */
const NO_ROOT: RootMessage = {
  mediaType: '',
  tlogs: [],
  certificateAuthorities: [],
  ctlogs: [],
  timestampAuthorities: [],
};

/**
 * Verifies the signature of a bundle with its certificate, log entries and timestamps.
 * @throws VerificationError
 */
export async function checkSignature(
  parsed: ParsedSignature,
  trust: TrustedSigners,
): Promise<CheckedSignature> {
  const { bundle } = parsed;
  const { content } = bundle.verificationMaterial;
  if (bundle.content.$case === 'dsseEnvelope') {
    const keyId = bundle.content.dsseEnvelope.signatures[0]?.keyid ?? '';
    const hint = content.$case === 'publicKey' ? content.publicKey.hint : '';
    if (keyId !== '' && keyId !== hint)
      throw new VerificationError('the envelope names another key than the bundle');
  }
  return content.$case === 'publicKey'
    ? checkKeySignature(parsed, content.publicKey.hint, trust)
    : checkCertificateSignature(parsed, trust);
}

async function checkKeySignature(
  { bundle, payload }: ParsedSignature,
  hint: string,
  { keys = [], root, keysNeedLog = false }: TrustedSigners,
): Promise<CheckedSignature> {
  if (keys.length === 0) throw new VerificationError('signed with a key, but no key is trusted');
  const candidates = hint === '' ? keys : keys.filter((key) => keyHint(key) === hint);
  if (candidates.length === 0) throw new VerificationError('signed with an untrusted key');
  if (keysNeedLog && root === undefined)
    throw new VerificationError('there is no trusted root to verify the log entry');
  // Without a root neither log nor timestamps are trusted, so they are not checked.
  const checked = { bundle: root === undefined ? withoutWitnesses(bundle) : bundle, payload };
  const tlogThreshold = keysNeedLog ? 1 : 0;
  const thresholds = { tlogThreshold, ctlogThreshold: 0, timestampThreshold: 0 };
  let problem: VerificationError | undefined;
  for (const key of candidates) {
    try {
      const entity = await verifySigned(checked, root?.message ?? NO_ROOT, thresholds, key);
      requireEntriesOf(checked.bundle, { kind: 'key', key: key.key });
      requireValidLogs(root?.message ?? NO_ROOT, entity);
      return { signer: signerOfKey(key), ...witnessed(checked.bundle, entity) };
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      problem ??= error;
    }
  }
  if (candidates.length > 1 || hint === '')
    throw new VerificationError(`not signed with a trusted key: ${problem?.message}`);
  throw problem ?? new VerificationError('signed with an untrusted key');
}

async function checkCertificateSignature(
  parsed: ParsedSignature,
  { identities = [], root }: TrustedSigners,
): Promise<CheckedSignature> {
  if (root === undefined)
    throw new VerificationError('signed with a certificate, but there is no trusted root');
  const { bundle } = parsed;
  const leaf = leafOf(bundle, root.message);
  requireTimesWithin(bundle, leaf);
  const { certificateAuthorities, ctlogs } = root.message;
  if (certificateAuthorities.length === 0)
    throw new VerificationError(`${root.name} has no certificate authority`);
  const ctlogThreshold = ctlogs.length === 0 ? 0 : 1;
  const thresholds = { tlogThreshold: 1, ctlogThreshold, timestampThreshold: 1 };
  const entity = await verifySigned(parsed, root.message, thresholds, undefined);
  await requireSignerProfile(leaf);
  requireEntriesOf(bundle, { kind: 'certificate', der: leaf.raw });
  requireValidLogs(root.message, entity);
  const { identity, claims } = await identityOfCertificate(leaf.raw);
  const problems = identities.map((trusted) => ({
    trusted,
    problem: identityProblem(trusted, identity, claims),
  }));
  if (problems.every(({ problem }) => problem !== undefined)) {
    const who = `signed by ${identity.subject} (${identity.issuer}), who is not trusted`;
    // The message shows how the subject differs, but not how the claims do.
    const near = problems.find(
      ({ trusted }) => trusted.claims !== undefined && trusted.issuer === identity.issuer,
    );
    throw new VerificationError(near === undefined ? who : `${who}: ${near.problem}`);
  }
  return { signer: { kind: 'identity', ...identity }, claims, ...witnessed(bundle, entity) };
}

async function verifySigned(
  { bundle, payload }: ParsedSignature,
  root: RootMessage,
  thresholds: VerifierOptions,
  key: PublicKey | undefined,
): Promise<SignedEntity> {
  const { toSignedEntity, Verifier } = await import('@sigstore/verify');
  let material: UsableMaterial | undefined;
  // The parsers throw arbitrary errors for hostile bytes.
  try {
    const entity = toSignedEntity(bundle, payload);
    const { signature } = entity;
    // For content outside the bundle the library always hashes, also for Ed25519.
    if (payload !== undefined)
      signature.verifySignature = (by) =>
        verify(signatureHash(by), payload, by, signature.signature);
    if (entity.key.$case === 'certificate') cacheCertificateEncoding(entity.key.certificate);
    material = await trustMaterial(root, key);
    new Verifier(material, thresholds).verify(entity);
    return entity;
  } catch (error) {
    throw new VerificationError(describeError(error, material?.unusable));
  }
}

/** The verifier's codes as text; its message has the details. */
const REASONS: Readonly<Record<string, string>> = {
  CERTIFICATE_ERROR: 'the certificate is not of a trusted authority, or was not valid at the time',
  PUBLIC_KEY_ERROR: 'the key is not trusted',
  SIGNATURE_ERROR: 'the signature does not match the content and key',
  TIMESTAMP_ERROR: 'the signing time is not proven',
  TLOG_BODY_ERROR: 'the log entry belongs to another signature',
  TLOG_ERROR: 'not in a trusted log',
  TLOG_INCLUSION_PROMISE_ERROR: 'the inclusion promise is wrong, or of an untrusted log',
  TLOG_INCLUSION_PROOF_ERROR: 'the inclusion proof is wrong, or of an untrusted log',
  TLOG_MISSING_INCLUSION_ERROR: 'the log entry has no inclusion proof',
};

function describeError(error: unknown, unusable?: UsableMaterial['unusable']): string {
  if (!(error instanceof Error)) return 'cannot be parsed';
  const code = 'code' in error ? String(error.code) : '';
  const words = REASONS[code];
  if (words === undefined) return `cannot be parsed: ${error.message}`;
  const problem =
    code === 'CERTIFICATE_ERROR'
      ? unusable?.certificateAuthorities[0]
      : code === 'TIMESTAMP_ERROR'
        ? unusable?.timestampAuthorities[0]
        : undefined;
  const why = problem === undefined ? '' : `; the certificate of an authority ${problem}`;
  return `${words} (${error.message}${why})`;
}

/** Returns the signing certificate. Other certificates beside it must be in the trusted root. */
function leafOf(bundle: Bundle, root: RootMessage): X509Certificate {
  const [, ...others] = certificatesOf(bundle);
  const trusted = root.certificateAuthorities.flatMap(
    ({ certChain }) => certChain?.certificates ?? [],
  );
  if (!others.every((other) => trusted.some(({ rawBytes }) => rawBytes.equals(other))))
    throw new VerificationError('the certificate chain has an untrusted authority');
  const leaf = signerCertificate(bundle);
  if (leaf === undefined) throw new VerificationError('the certificate cannot be parsed');
  return leaf;
}

/** Requires a certificate for signatures of images, as the verifier does not. */
async function requireSignerProfile({ raw, publicKey }: X509Certificate): Promise<void> {
  const { X509Certificate: Certificate } = await import('@sigstore/core');
  let problem: string | undefined;
  try {
    problem = signerProblem(Certificate.parse(Buffer.from(raw)), publicKey);
  } catch (error) {
    throw new VerificationError(describeError(error));
  }
  if (problem !== undefined) throw new VerificationError(`the certificate ${problem}`);
}

/** The verifier checks the times too, but without a reason in its message. */
function requireTimesWithin({ verificationMaterial }: Bundle, leaf: X509Certificate): void {
  for (const { integratedTime, inclusionPromise } of verificationMaterial.tlogEntries) {
    // Rekor 2 states no time: a timestamp authority does, and the verifier requires one of both.
    if (inclusionPromise === undefined && Number(integratedTime) === 0) continue;
    const time = new Date(Number(integratedTime) * 1000);
    if (time >= leaf.validFromDate && time <= leaf.validToDate) continue;
    const [from, to, at] = [leaf.validFromDate, leaf.validToDate, time].map(readable);
    throw new VerificationError(
      `the certificate was valid from ${from} to ${to}, but the signature was logged at ${at}`,
    );
  }
}

function readable(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'never' : date.toISOString();
}

function requireEntriesOf({ verificationMaterial }: Bundle, signedWith: SignedWith): void {
  for (const entry of verificationMaterial.tlogEntries) checkLogEntry(entry, signedWith);
}

/**
 * Requires that the log of each entry without a promise was valid at the signing time; the verifier
 * checks only promises for that. Without any time, a log that has ended is not trusted.
 */
function requireValidLogs({ tlogs }: RootMessage, { tlogEntries, timestamps }: SignedEntity): void {
  const times = authorityTimes(timestamps);
  for (const { logId, inclusionPromise } of tlogEntries) {
    if (inclusionPromise !== undefined) continue;
    const periods = tlogs.flatMap((log) =>
      log.logId?.keyId.equals(logId.keyId) === true ? [log.publicKey?.validFor] : [],
    );
    const isValid = periods.some((period) =>
      times.length === 0
        ? period?.end === undefined
        : times.every((time) => isWithin(time, period)),
    );
    if (!isValid) throw new VerificationError('the log was not valid at the signing time');
  }
}

function isWithin(time: Date, { start, end }: Partial<TimeRange> = {}): boolean {
  return start !== undefined && start <= time && (end === undefined || time <= end);
}

function authorityTimes(timestamps: SignedEntity['timestamps']): readonly Date[] {
  return timestamps.flatMap((item) =>
    item.$case === 'timestamp-authority' ? [item.timestamp.signingTime] : [],
  );
}

function withoutWitnesses(bundle: Bundle): Bundle {
  const verificationMaterial = {
    ...bundle.verificationMaterial,
    tlogEntries: [],
    timestampVerificationData: { rfc3161Timestamps: [] },
  };
  return { ...bundle, verificationMaterial };
}

/** Prefers the timestamp authority's time: the log's time may be later than the signature. */
function witnessed(
  { verificationMaterial }: Bundle,
  { timestamps }: SignedEntity,
): Pick<CheckedSignature, 'time' | 'logIndex'> {
  const [entry] = verificationMaterial.tlogEntries;
  const stamps = authorityTimes(timestamps);
  const hasPromise = entry?.inclusionPromise !== undefined;
  const logTime = hasPromise ? new Date(Number(entry.integratedTime) * 1000) : undefined;
  // The promise states the entry's global index; the proof, its index in the shard.
  const index = hasPromise ? entry.logIndex : entry?.inclusionProof?.logIndex;
  return {
    time: stamps[0] ?? logTime,
    logIndex: index === undefined ? undefined : Number(index),
  };
}
