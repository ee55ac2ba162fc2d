import type { SerializedBundle } from '@sigstore/bundle';
import type { Service } from './service.ts';

type SerializedEntry = SerializedBundle['verificationMaterial']['tlogEntries'][number];

/** An entry of a transparency log, in the JSON form of a bundle, complete. */
export type LogEntry = {
  readonly [Field in keyof SerializedEntry]: NonNullable<SerializedEntry[Field]>;
};

/**
 * A proposed log entry: a DSSE envelope, or a signature over a digest; `verifier` is the key or
 * certificate in PEM.
 */
export type Proposal =
  | { readonly kind: 'dsse'; readonly envelope: string; readonly verifier: string }
  | {
      readonly kind: 'hashedrekord';
      readonly sha256: string;
      readonly signature: Buffer;
      readonly verifier: string;
    };

/**
 * Adds a signature to a log (Rekor 1: https://github.com/sigstore/rekor/blob/main/openapi.yaml).
 * Returns the existing entry if the log has it already.
 * @throws NETWORK_FAILED, ACCESS_DENIED
 */
export async function logSignature(service: Service, proposal: Proposal): Promise<LogEntry> {
  const path = '/api/v1/log/entries';
  const body = JSON.stringify(proposed(proposal));
  const response = await service.post(path, body, { statuses: [201, 409] });
  if (response.status === 201) return entryFrom(service, await service.json(response), proposal);
  const place = response.header('location') ?? '';
  await response.discard();
  const uuid = /\/api\/v1\/log\/entries\/([0-9a-f]{64,80})$/.exec(place)?.[1];
  if (uuid === undefined) throw service.unexpectedResponse('no location of the existing entry');
  return entryFrom(service, await service.get(`${path}/${uuid}`), proposal);
}

function proposed(proposal: Proposal): object {
  const verifier = Buffer.from(proposal.verifier).toString('base64');
  if (proposal.kind === 'dsse')
    return {
      apiVersion: '0.0.1',
      kind: 'dsse',
      spec: { proposedContent: { envelope: proposal.envelope, verifiers: [verifier] } },
    };
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: 'sha256', value: proposal.sha256 } },
      signature: {
        content: proposal.signature.toString('base64'),
        publicKey: { content: verifier },
      },
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
function entryFrom(service: Service, document: unknown, { kind }: Proposal): LogEntry {
  try {
    const [entry, ...more] = Object.values(document as Record<string, EntryResponse>);
    if (entry === undefined || more.length > 0) throw new Error('not one entry');
    const body = JSON.parse(Buffer.from(entry.body, 'base64').toString()) as {
      kind: string;
      apiVersion: string;
    };
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
