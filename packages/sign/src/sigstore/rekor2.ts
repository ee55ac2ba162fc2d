import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { LktError } from '@lkt/core';
import type { LogEntry, Proposal } from './rekor.ts';
import type { Service } from './service.ts';

const KIND = 'hashedrekord';
const VERSION = '0.0.2';

/**
 * Adds a signature to a log of Rekor 2 (https://github.com/sigstore/rekor-tiles), which answers once
 * a checkpoint includes the entry. The entry proves no time.
 * @throws NETWORK_FAILED, ACCESS_DENIED; UNSUPPORTED for a type of key that the log does not accept
 */
export async function logSignature2(
  service: Service,
  { signed, signature }: Proposal,
  verifier: KeyObject | X509Certificate,
): Promise<LogEntry> {
  const isCertificate = verifier instanceof X509Certificate;
  const rawBytes = isCertificate ? verifier.raw : verifier.export({ type: 'spki', format: 'der' });
  const request = {
    hashedRekordRequestV002: {
      digest: createHash('sha256').update(signed).digest('base64'),
      signature: {
        content: signature.toString('base64'),
        verifier: {
          [isCertificate ? 'x509Certificate' : 'publicKey']: {
            rawBytes: rawBytes.toString('base64'),
          },
          keyDetails: keyDetails(isCertificate ? verifier.publicKey : verifier),
        },
      },
    },
  };
  const response = await service.post('/api/v2/log/entries', JSON.stringify(request));
  return entryFrom(service, await service.json(response));
}

/**
 * Returns Sigstore's name of a key's signatures with SHA-256.
 * @throws UNSUPPORTED for a type of key that Rekor 2 does not accept with SHA-256
 */
export function keyDetails({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (namedCurve === 'prime256v1') return 'PKIX_ECDSA_P256_SHA_256';
  if (asymmetricKeyType === 'rsa' && [2048, 3072, 4096].includes(modulusLength))
    return `PKIX_RSA_PKCS1V15_${modulusLength}_SHA256`;
  throw new LktError('UNSUPPORTED', 'a log of Rekor 2 does not accept signatures by this key', {
    fix: 'sign with an ECDSA key on P-256, made with `lkt key generate`',
  });
}

/** Checks the form of an entry; verification checks its content. */
async function entryFrom(service: Service, document: unknown): Promise<LogEntry> {
  const { TransparencyLogEntry } = await import('@sigstore/protobuf-specs');
  try {
    const entry = TransparencyLogEntry.fromJSON(document);
    const { logIndex, logId, kindVersion, inclusionProof: proof, canonicalizedBody } = entry;
    if (kindVersion?.kind !== KIND || kindVersion.version !== VERSION)
      throw new Error('another kind of entry');
    if (logId === undefined || proof?.checkpoint === undefined) throw new Error('no proof');
    return {
      logIndex,
      logId: { keyId: logId.keyId.toString('base64') },
      kindVersion,
      integratedTime: '0',
      inclusionProof: {
        logIndex: proof.logIndex,
        rootHash: proof.rootHash.toString('base64'),
        treeSize: proof.treeSize,
        hashes: proof.hashes.map((hash) => hash.toString('base64')),
        checkpoint: proof.checkpoint,
      },
      canonicalizedBody: canonicalizedBody.toString('base64'),
    };
  } catch {
    throw service.unexpectedResponse('not a log entry with an inclusion proof');
  }
}
