import { createHash } from 'node:crypto';
import type { ForgedEntry, ForgedSignature, Forgery } from '@lkt/testing/forgeries';

/** A forged log entry. sigstore-go rejects it too, or there is a reason. */
export interface EntryCase {
  readonly what: string;
  readonly forgery: Forgery;
  /** Why sigstore-go accepts it. */
  readonly accepted?: string;
}

const base64 = (text: Buffer | string): string => Buffer.from(text as string).toString('base64');
const pemOf = (der: Buffer): string =>
  base64(`-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`);
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
/** A certificate that is not the signer's. */
const stranger = ({ leaf }: ForgedSignature): string =>
  pemOf(Buffer.concat([leaf.der.subarray(0, -1), Buffer.of((leaf.der.at(-1) ?? 0) ^ 1)]));

function hashedRekord(
  { leaf, signed, signature }: ForgedSignature,
  change: { readonly value?: string; readonly algorithm?: string; readonly by?: string } = {},
): object {
  const { value = sha256(signed), algorithm = 'sha256', by = pemOf(leaf.der) } = change;
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm, value } },
      signature: { content: signature, publicKey: { content: by } },
    },
  };
}

function inToto({ leaf, signature }: ForgedSignature, value: string, by = pemOf(leaf.der)): object {
  return {
    apiVersion: '0.0.2',
    kind: 'intoto',
    spec: {
      content: {
        envelope: {
          payloadType: 'application/vnd.in-toto+json',
          signatures: [{ publicKey: by, sig: base64(signature) }],
        },
        hash: { algorithm: 'sha256', value },
        payloadHash: { algorithm: 'sha256', value },
      },
    },
  };
}

const kinds = (kind: string, version: string) => (entry: ForgedEntry) => {
  entry.kindVersion = { kind, version };
};

export const ENTRIES: readonly EntryCase[] = [
  {
    what: 'of an envelope with another payload',
    accepted: 'it compares only the signature',
    forgery: {
      body: ({ spec, ...rest }) => ({
        ...rest,
        spec: { ...spec, payloadHash: { algorithm: 'sha256', value: sha256(Buffer.from('x')) } },
      }),
    },
  },
  {
    what: 'of another signature',
    forgery: {
      body: ({ spec, ...rest }, { leaf }) => ({
        ...rest,
        spec: { ...spec, signatures: [{ signature: base64('x'), verifier: pemOf(leaf.der) }] },
      }),
    },
  },
  {
    what: 'of two signatures',
    accepted: 'both are the same',
    forgery: {
      body: ({ spec, ...rest }) => {
        const { signatures } = spec as { signatures: readonly object[] };
        return { ...rest, spec: { ...spec, signatures: [...signatures, ...signatures] } };
      },
    },
  },
  {
    what: 'without signatures',
    forgery: { body: ({ spec, ...rest }) => ({ ...rest, spec: { ...spec, signatures: [] } }) },
  },
  {
    what: 'of another signer',
    forgery: {
      body: ({ spec, ...rest }, made) => ({
        ...rest,
        spec: {
          ...spec,
          signatures: [{ signature: made.signature, verifier: stranger(made) }],
        },
      }),
    },
  },
  {
    what: 'of another signer, with a field of another kind that names the signer',
    forgery: {
      body: ({ spec, ...rest }, made) => ({
        ...rest,
        spec: {
          ...spec,
          signatures: [{ signature: made.signature, verifier: stranger(made) }],
          signature: { publicKey: { content: pemOf(made.leaf.der) } },
        },
      }),
    },
  },
  {
    what: 'of a hash, with another digest',
    forgery: {
      body: (_body, made) => hashedRekord(made, { value: sha256(Buffer.from('x')) }),
      entry: kinds('hashedrekord', '0.0.1'),
    },
  },
  {
    what: 'of a hash, by another signer',
    forgery: {
      body: (_body, made) => hashedRekord(made, { by: stranger(made) }),
      entry: kinds('hashedrekord', '0.0.1'),
    },
  },
  {
    what: 'of a hash that is not SHA-256',
    forgery: {
      body: (_body, made) => hashedRekord(made, { algorithm: 'md5' }),
      entry: kinds('hashedrekord', '0.0.1'),
    },
  },
  {
    what: 'of a hash, stated as an envelope',
    forgery: { body: (_body, made) => hashedRekord(made), entry: kinds('dsse', '0.0.1') },
  },
  {
    what: 'of an envelope, stated as a hash',
    forgery: { entry: kinds('hashedrekord', '0.0.1') },
  },
  { what: 'of a later version than its body', forgery: { entry: kinds('dsse', '0.0.2') } },
  {
    what: 'of an unknown kind',
    forgery: {
      body: (body) => ({ ...body, kind: 'rpm' }),
      entry: kinds('rpm', '0.0.1'),
    },
  },
  {
    what: 'of in-toto, with another payload',
    accepted: 'it compares only the signature',
    forgery: {
      body: (_body, made) => inToto(made, sha256(Buffer.from('x'))),
      entry: kinds('intoto', '0.0.2'),
    },
  },
  {
    what: 'of in-toto, by another signer',
    forgery: {
      body: ({ spec }, made) => {
        const { payloadHash } = spec as { payloadHash: { value: string } };
        return inToto(made, payloadHash.value, stranger(made));
      },
      entry: kinds('intoto', '0.0.2'),
    },
  },
  {
    what: 'with a checkpoint from before it',
    forgery: {
      entry: (entry, { earlier }) => {
        if (earlier.inclusionProof !== undefined) entry.inclusionProof = earlier.inclusionProof;
      },
    },
  },
  {
    what: 'with the proof of another leaf',
    forgery: {
      entry: ({ inclusionProof }, { earlier }) => {
        if (inclusionProof === undefined) return;
        inclusionProof.hashes = earlier.inclusionProof?.hashes ?? [];
        inclusionProof.logIndex = '0';
      },
    },
  },
  {
    what: 'with the promise for another entry',
    forgery: {
      entry: (entry, { earlier }) => {
        const { inclusionPromise } = earlier;
        if (inclusionPromise !== undefined) entry.inclusionPromise = inclusionPromise;
      },
    },
  },
  {
    what: 'that another trusted log states as its own',
    forgery: {
      entry: (entry, { otherLog }) => {
        const [view] = Object.values(otherLog.view(0) as Record<string, { logID: string }>);
        entry.logId.keyId = Buffer.from(view?.logID ?? '', 'hex').toString('base64');
      },
    },
  },
  {
    what: 'with the checkpoint of another trusted log',
    forgery: {
      entry: (entry, { otherLog }) => {
        const body = Buffer.from(entry.canonicalizedBody, 'base64');
        const { index } = otherLog.append(body);
        const [view] = Object.values(
          otherLog.view(index) as Record<
            string,
            { verification: { inclusionProof: { checkpoint: string } } }
          >,
        );
        if (entry.inclusionProof !== undefined)
          entry.inclusionProof.checkpoint.envelope =
            view?.verification.inclusionProof.checkpoint ?? '';
      },
    },
  },
  {
    what: 'with a checkpoint that names another log',
    accepted: 'it finds the log by the id of its key',
    forgery: {
      entry: ({ inclusionProof }) => {
        if (inclusionProof === undefined) return;
        const { envelope } = inclusionProof.checkpoint;
        inclusionProof.checkpoint.envelope = envelope.replace(/— \S+/, '— other.example');
      },
    },
  },
  {
    what: 'with a line before the signatures of its checkpoint',
    forgery: {
      entry: ({ inclusionProof }) => {
        if (inclusionProof === undefined) return;
        const { envelope } = inclusionProof.checkpoint;
        inclusionProof.checkpoint.envelope = envelope.replace('\n\n', '\nextension\n\n');
      },
    },
  },
  {
    what: 'with an empty promise',
    forgery: { entry: (entry) => void (entry.inclusionPromise = { signedEntryTimestamp: '' }) },
  },
  {
    what: 'at the time zero',
    forgery: { entry: (entry) => void (entry.integratedTime = '0') },
  },
  {
    what: 'at a negative time',
    forgery: { entry: (entry) => void (entry.integratedTime = '-1') },
  },
  {
    what: 'beyond all time',
    forgery: { entry: (entry) => void (entry.integratedTime = '9223372036854775807') },
  },
  {
    what: 'at an index beyond exact numbers',
    forgery: { entry: (entry) => void (entry.logIndex = '9007199254740993') },
  },
];

/** Other entries of the same signature. */
export const GOOD_ENTRIES: readonly EntryCase[] = [
  {
    what: 'of a hash',
    forgery: {
      body: (_body, made) => hashedRekord(made),
      entry: kinds('hashedrekord', '0.0.1'),
    },
  },
  {
    what: 'of in-toto',
    forgery: {
      body: ({ spec }, made) => {
        const { payloadHash } = spec as { payloadHash: { value: string } };
        return inToto(made, payloadHash.value);
      },
      entry: kinds('intoto', '0.0.2'),
    },
  },
];
