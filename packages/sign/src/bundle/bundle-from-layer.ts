import { createHash, X509Certificate } from 'node:crypto';
import type { UnverifiedSignature } from '../referrers/collected-signatures.ts';
import { LayerAnnotation } from './formats.ts';
import { parseJson } from './parse-json.ts';
import { VerificationError } from '../verify/verification-error.ts';

/**
 * Returns cosign 2's layer and annotations as a bundle document, so that one verifier checks both
 * forms. The bundle has the log's promise (SET) but no inclusion proof.
 * @throws VerificationError
 */
export function bundleFromLayer(
  item: Exclude<UnverifiedSignature, { readonly kind: 'bundle' }>,
): object {
  const { annotations, bytes } = item;
  const certificate = annotations[LayerAnnotation.certificate];
  const logEntry = annotations[LayerAnnotation.logEntry];
  const timestamp = annotations[LayerAnnotation.timestamp];
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      ...(isEmpty(certificate)
        ? { publicKey: { hint: '' } }
        : { x509CertificateChain: { certificates: [{ rawBytes: derOf(certificate) }] } }),
      tlogEntries: isEmpty(logEntry) ? [] : [entryOf(logEntry)],
      timestampVerificationData: {
        rfc3161Timestamps: isEmpty(timestamp) ? [] : [{ signedTimestamp: timestampOf(timestamp) }],
      },
    },
    ...(item.kind === 'attestation'
      ? { dsseEnvelope: parseJson(bytes.toString(), 'the envelope') }
      : {
          messageSignature: {
            messageDigest: {
              algorithm: 'SHA2_256',
              digest: createHash('sha256').update(bytes).digest('base64'),
            },
            signature: annotations[LayerAnnotation.signature] ?? '',
          },
        }),
  };
}

/** cosign writes empty annotations for absent values. */
function isEmpty(text: string | undefined): text is undefined | '' {
  return text === undefined || text === '' || text === 'null';
}

function derOf(pem: string): string {
  try {
    return new X509Certificate(pem).raw.toString('base64');
  } catch {
    throw new VerificationError('the certificate cannot be parsed');
  }
}

function entryOf(text: string): unknown {
  const { SignedEntryTimestamp, Payload } = parseJson(text, 'the log entry') as {
    SignedEntryTimestamp?: unknown;
    Payload?: { body?: unknown; integratedTime?: unknown; logIndex?: unknown; logID?: unknown };
  };
  const { body, integratedTime, logIndex, logID } = Payload ?? {};
  const isEntry =
    typeof SignedEntryTimestamp === 'string' &&
    typeof body === 'string' &&
    Number.isSafeInteger(integratedTime) &&
    Number.isSafeInteger(logIndex) &&
    typeof logID === 'string' &&
    /^[0-9a-f]{64}$/.test(logID);
  if (!isEntry) throw new VerificationError('the log entry is malformed');
  const { kind, apiVersion } = parseJson(
    Buffer.from(body, 'base64').toString(),
    'the body of the log entry',
  ) as Record<string, unknown>;
  return {
    logIndex: String(logIndex),
    logId: { keyId: Buffer.from(logID, 'hex').toString('base64') },
    kindVersion: { kind, version: apiVersion },
    integratedTime: String(integratedTime),
    inclusionPromise: { signedEntryTimestamp: SignedEntryTimestamp },
    canonicalizedBody: body,
  };
}

function timestampOf(text: string): unknown {
  return (parseJson(text, 'the timestamp') as Record<string, unknown>)['SignedRFC3161Timestamp'];
}
