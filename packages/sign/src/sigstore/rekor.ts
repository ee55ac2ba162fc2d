import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import type { SerializedBundle } from '@sigstore/bundle';
import type { Service } from './service.ts';

type SerializedEntry = SerializedBundle['verificationMaterial']['tlogEntries'][number];

type CompleteEntry = {
  readonly [Field in keyof SerializedEntry]: NonNullable<SerializedEntry[Field]>;
};

/** An entry of a transparency log, in the JSON form of a bundle; only Rekor 1 makes a promise. */
export type LogEntry = Omit<CompleteEntry, 'inclusionPromise'> &
  Partial<Pick<CompleteEntry, 'inclusionPromise'>>;

/** A signature to log, in an envelope or over the content itself. */
export interface Proposal {
  /** The bytes that are signed. */
  readonly signed: Buffer;
  readonly signature: Buffer;
  /** The DSSE envelope with the signature, as JSON. */
  readonly envelope?: string;
}

/**
 * Adds a signature to a log (Rekor 1: https://github.com/sigstore/rekor/blob/main/openapi.yaml).
 * Returns the existing entry if the log has it already.
 * @throws NETWORK_FAILED, ACCESS_DENIED
 */
export async function logSignature(
  service: Service,
  proposal: Proposal,
  verifier: KeyObject | X509Certificate,
): Promise<LogEntry> {
  const path = '/api/v1/log/entries';
  const body = JSON.stringify(proposed(proposal, verifier));
  const response = await service.post(path, body, { statuses: [201, 409] });
  if (response.status === 201) return entryFrom(service, await service.json(response), proposal);
  const place = response.header('location') ?? '';
  await response.discard();
  const uuid = /\/api\/v1\/log\/entries\/([0-9a-f]{64,80})$/.exec(place)?.[1];
  if (uuid === undefined) throw service.unexpectedResponse('no location of the existing entry');
  return entryFrom(service, await service.get(`${path}/${uuid}`), proposal);
}

function proposed(
  { signed, signature, envelope }: Proposal,
  by: KeyObject | X509Certificate,
): object {
  const pem = by instanceof X509Certificate ? by : by.export({ type: 'spki', format: 'pem' });
  const verifier = Buffer.from(pem.toString()).toString('base64');
  if (envelope !== undefined)
    return {
      apiVersion: '0.0.1',
      kind: 'dsse',
      spec: { proposedContent: { envelope, verifiers: [verifier] } },
    };
  const value = createHash('sha256').update(signed).digest('hex');
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: 'sha256', value } },
      signature: { content: signature.toString('base64'), publicKey: { content: verifier } },
    },
  };
}

interface EntryResponse {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
      readonly hashes: readonly string[];
      readonly checkpoint: string;
    };
  };
}

/** Checks the form of an entry; verification checks its content. */
function entryFrom(service: Service, document: unknown, { envelope }: Proposal): LogEntry {
  try {
    const [entry, ...more] = Object.values(document as Record<string, EntryResponse>);
    if (entry === undefined || more.length > 0) throw new Error('not one entry');
    const body = JSON.parse(Buffer.from(entry.body, 'base64').toString()) as {
      kind: string;
      apiVersion: string;
    };
    const kind = envelope === undefined ? 'hashedrekord' : 'dsse';
    if (body.kind !== kind) throw new Error('another kind of entry');
    const { inclusionProof: proof, signedEntryTimestamp } = entry.verification;
    return {
      logIndex: String(entry.logIndex),
      logId: { keyId: Buffer.from(entry.logID, 'hex').toString('base64') },
      kindVersion: { kind: body.kind, version: body.apiVersion },
      integratedTime: String(entry.integratedTime),
      inclusionPromise: { signedEntryTimestamp },
      inclusionProof: {
        logIndex: String(proof.logIndex),
        rootHash: Buffer.from(proof.rootHash, 'hex').toString('base64'),
        treeSize: String(proof.treeSize),
        hashes: proof.hashes.map((hash) => Buffer.from(hash, 'hex').toString('base64')),
        checkpoint: { envelope: proof.checkpoint },
      },
      canonicalizedBody: entry.body,
    };
  } catch {
    throw service.unexpectedResponse('not a log entry with an inclusion proof');
  }
}
