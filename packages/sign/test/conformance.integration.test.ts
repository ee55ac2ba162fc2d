import { beforeAll, describe, expect, it } from 'vitest';
import { type SigstoreOptions, startSigstore } from '@lkt/testing';
import { digestOf } from '@lkt/core';
import { signStatement } from '../src/bundle/sign-statement.ts';
import { keylessSigner } from '../src/signing/signer.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import { WORKFLOW } from './support.ts';

// Cases like those of https://github.com/sigstore/sigstore-conformance, with our own authorities.

const SUBJECT = digestOf('the image');

interface Entry {
  [field: string]: unknown;
  logIndex: string;
  integratedTime: string;
  logId: { keyId: string };
  inclusionPromise?: { signedEntryTimestamp: string };
  inclusionProof: {
    logIndex: string;
    rootHash: string;
    treeSize: string;
    hashes: string[];
    checkpoint: { envelope: string };
  };
  canonicalizedBody: string;
}

interface BundleJson {
  [field: string]: unknown;
  mediaType: string;
  verificationMaterial: {
    certificate?: { rawBytes: string };
    x509CertificateChain?: { certificates: { rawBytes: string }[] };
    publicKey?: { hint: string };
    tlogEntries: Entry[];
    timestampVerificationData: { rfc3161Timestamps: { signedTimestamp: string }[] };
  };
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
}

interface Period {
  start: string;
  end?: string;
}

interface RootJson {
  tlogs: { logId: { keyId: string }; publicKey: { validFor: Period } }[];
  ctlogs: { publicKey: { validFor: Period } }[];
  certificateAuthorities: { validFor: Period }[];
  timestampAuthorities: { validFor: Period }[];
}

/** A signature of the image, another of the same signer, and one of another instance. */
interface Made {
  readonly bundle: BundleJson;
  readonly root: RootJson;
  readonly issuer: string;
  readonly other: BundleJson;
  readonly foreign: BundleJson;
  readonly foreignRoot: RootJson;
}

/** Changes the bundle and the trusted root. */
type Change = (made: Made, first: Entry) => void;

async function sign(
  rekorVersion: 1 | 2,
  options?: SigstoreOptions,
): Promise<Pick<Made, 'bundle' | 'other' | 'root' | 'issuer'>> {
  await using instance = await startSigstore(options);
  const { url, issuer } = instance;
  const made: BundleJson[] = [];
  for (const content of ['the image', 'another image']) {
    const identity = issuer.token(WORKFLOW);
    const services = { fulcioUrl: url, rekorUrl: url, rekorVersion, tsaUrl: url };
    await using session = await keylessSigner({ ...services, identity }).open();
    const subject = { name: 'app', digest: digestOf(content) };
    const { bytes } = await signStatement(
      session,
      statementAbout(subject, SIGNATURE_PREDICATE, {}),
    );
    made.push(JSON.parse(bytes.toString()) as BundleJson);
  }
  const [bundle, other] = made;
  if (bundle === undefined || other === undefined) throw new Error('nothing was signed');
  return { bundle, other, root: JSON.parse(instance.trustedRoot) as RootJson, issuer: issuer.url };
}

async function accepts({ bundle, root, issuer }: Made): Promise<{ ok: boolean; why: string }> {
  const items = [
    { kind: 'bundle', source: 'it', bytes: Buffer.from(JSON.stringify(bundle)) } as const,
  ];
  const trust = {
    root: await parseTrustedRoot(JSON.stringify(root), 'root'),
    identities: [{ subject: WORKFLOW, issuer }],
  };
  const collected = { items, unreadable: [] };
  const { signatures, rejections } = await verifyImage({ subject: SUBJECT, collected, trust });
  return { ok: signatures.length === 1, why: rejections[0]?.reason ?? '' };
}

const HOUR = 3_600_000;
const at = (hours: number): string => new Date(Date.now() + hours * HOUR).toISOString();
const past: Period = { start: at(-48), end: at(-24) };
const future: Period = { start: at(24) };
const current: Period = { start: at(-24), end: at(24) };

function flipped(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return bytes.toString('base64');
}

function setLogs({ root }: Made, period: Period): void {
  for (const log of root.tlogs) log.publicKey.validFor = period;
}

function removeTimestamps({ bundle }: Made): void {
  bundle.verificationMaterial.timestampVerificationData.rfc3161Timestamps = [];
}

const PASS: readonly [string, Change][] = [
  ['everything unchanged', () => undefined],
  [
    'other logs and authorities in the trusted root, first',
    ({ root, foreignRoot }) => {
      root.tlogs.unshift(...foreignRoot.tlogs);
      root.ctlogs.unshift(...foreignRoot.ctlogs);
      root.certificateAuthorities.unshift(...foreignRoot.certificateAuthorities);
      root.timestampAuthorities.unshift(...foreignRoot.timestampAuthorities);
    },
  ],
  [
    'authorities and logs that ended later',
    (made) => {
      setLogs(made, current);
      for (const { publicKey } of made.root.ctlogs) publicKey.validFor = current;
      for (const one of made.root.certificateAuthorities) one.validFor = current;
      for (const one of made.root.timestampAuthorities) one.validFor = current;
    },
  ],
  [
    'the signature of an unknown witness in the checkpoint',
    (_made, { inclusionProof: { checkpoint } }) => {
      checkpoint.envelope += `— witness.example ${Buffer.alloc(70, 7).toString('base64')}\n`;
    },
  ],
];

const FAIL: readonly [string, Change][] = [
  // The signed content.
  [
    'another payload',
    ({ bundle, other }) => void (bundle.dsseEnvelope.payload = other.dsseEnvelope.payload),
  ],
  [
    'another signature',
    ({ bundle, other }) => void (bundle.dsseEnvelope.signatures = other.dsseEnvelope.signatures),
  ],
  [
    'a changed signature',
    ({ bundle: { dsseEnvelope } }) => {
      for (const one of dsseEnvelope.signatures) one.sig = flipped(one.sig);
    },
  ],
  ['no signature', ({ bundle }) => void (bundle.dsseEnvelope.signatures = [])],
  [
    'two signatures',
    ({ bundle, other }) =>
      void bundle.dsseEnvelope.signatures.push(...other.dsseEnvelope.signatures),
  ],
  ['another payload type', ({ bundle }) => void (bundle.dsseEnvelope.payloadType = 'text/plain')],
  ['an envelope of another image', ({ bundle, other }) => void Object.assign(bundle, other)],
  // The certificate.
  [
    'another certificate of the same identity',
    ({ bundle, other }) =>
      void (bundle.verificationMaterial.certificate = other.verificationMaterial.certificate),
  ],
  [
    'a key instead of the certificate',
    ({ bundle: { verificationMaterial } }) => {
      delete verificationMaterial.certificate;
      verificationMaterial.publicKey = { hint: '' };
    },
  ],
  ['everything of another instance', ({ bundle, foreign }) => void Object.assign(bundle, foreign)],
  ['no certificate authority', ({ root }) => void (root.certificateAuthorities = [])],
  [
    'another certificate authority',
    ({ root, foreignRoot }) =>
      void (root.certificateAuthorities = foreignRoot.certificateAuthorities),
  ],
  [
    'a certificate authority that ended before',
    ({ root }) => {
      for (const one of root.certificateAuthorities) one.validFor = past;
    },
  ],
  [
    'a certificate authority that begins later',
    ({ root }) => {
      for (const one of root.certificateAuthorities) one.validFor = future;
    },
  ],
  ['another certificate log', ({ root, foreignRoot }) => void (root.ctlogs = foreignRoot.ctlogs)],
  [
    'a certificate log that ended before',
    ({ root }) => {
      for (const { publicKey } of root.ctlogs) publicKey.validFor = past;
    },
  ],
  // The transparency log.
  ['no log entry', ({ bundle }) => void (bundle.verificationMaterial.tlogEntries = [])],
  [
    'the log entry of another signature',
    ({ bundle, other }) =>
      void (bundle.verificationMaterial.tlogEntries = other.verificationMaterial.tlogEntries),
  ],
  [
    'the log entry twice',
    ({ bundle: { verificationMaterial } }, first) =>
      void verificationMaterial.tlogEntries.push(structuredClone(first)),
  ],
  [
    'the body of another log entry',
    ({ other }, first) => {
      const [entry] = other.verificationMaterial.tlogEntries;
      first.canonicalizedBody = entry?.canonicalizedBody ?? '';
    },
  ],
  ['no inclusion proof', (_made, first) => void Reflect.deleteProperty(first, 'inclusionProof')],
  ['another log', (_made, first) => void (first.logId.keyId = flipped(first.logId.keyId))],
  ['no log in the trusted root', ({ root, foreignRoot }) => void (root.tlogs = foreignRoot.tlogs)],
  ['a log that ended before', (made) => setLogs(made, past)],
  ['a log that begins later', (made) => setLogs(made, future)],
  [
    'no checkpoint',
    (_made, { inclusionProof }) => void (inclusionProof.checkpoint = { envelope: '' }),
  ],
  [
    'the checkpoint of another tree',
    ({ other }, { inclusionProof }) => {
      const [entry] = other.verificationMaterial.tlogEntries;
      inclusionProof.checkpoint = entry?.inclusionProof.checkpoint ?? { envelope: '' };
    },
  ],
  [
    'a checkpoint without signature',
    (_made, { inclusionProof: { checkpoint } }) =>
      void (checkpoint.envelope = checkpoint.envelope.replace(/\n\n.*/s, '\n\n')),
  ],
  [
    'a checkpoint with another key hint',
    (_made, { inclusionProof: { checkpoint } }) =>
      void (checkpoint.envelope = checkpoint.envelope.replace(
        / (\S+)\n$/,
        (_line, text: string) => {
          const bytes = Buffer.from(text, 'base64');
          bytes[0] = (bytes[0] ?? 0) ^ 1;
          return ` ${bytes.toString('base64')}\n`;
        },
      )),
  ],
  [
    'a checkpoint of another origin',
    (_made, { inclusionProof: { checkpoint } }) =>
      void (checkpoint.envelope = checkpoint.envelope.replaceAll('127.0.0.1', 'log.example')),
  ],
  [
    'another root hash',
    (_made, { inclusionProof }) =>
      void (inclusionProof.rootHash = flipped(inclusionProof.rootHash)),
  ],
  [
    'another tree size',
    (_made, { inclusionProof }) =>
      void (inclusionProof.treeSize = String(Number(inclusionProof.treeSize) + 1)),
  ],
  [
    'another index in the tree',
    (_made, { inclusionProof }) =>
      void (inclusionProof.logIndex = String(Number(inclusionProof.logIndex) - 1)),
  ],
  [
    'a negative index in the tree',
    (_made, { inclusionProof }) => void (inclusionProof.logIndex = '-1'),
  ],
  [
    'an index beyond the tree',
    (_made, { inclusionProof }) => void (inclusionProof.logIndex = inclusionProof.treeSize),
  ],
  ['a proof without hashes', (_made, { inclusionProof }) => void (inclusionProof.hashes = [])],
  [
    'a proof with one hash too many',
    (_made, { inclusionProof }) => void inclusionProof.hashes.push(inclusionProof.hashes[0] ?? ''),
  ],
  [
    'a proof with another hash',
    (_made, { inclusionProof }) =>
      void (inclusionProof.hashes = inclusionProof.hashes.map(flipped)),
  ],
  // The time.
  [
    'neither a timestamp nor a promise',
    (made, first) => {
      removeTimestamps(made);
      delete first['inclusionPromise'];
    },
  ],
  [
    'the timestamp of another signature',
    ({ bundle, other }) =>
      void (bundle.verificationMaterial.timestampVerificationData =
        other.verificationMaterial.timestampVerificationData),
  ],
  [
    'a timestamp of another authority',
    ({ bundle, foreign }) =>
      void (bundle.verificationMaterial.timestampVerificationData =
        foreign.verificationMaterial.timestampVerificationData),
  ],
  [
    'a timestamp twice',
    ({ bundle: { verificationMaterial } }) => {
      const { rfc3161Timestamps: stamps } = verificationMaterial.timestampVerificationData;
      stamps.push(...stamps);
    },
  ],
  [
    'a malformed timestamp',
    ({ bundle: { verificationMaterial } }) => {
      verificationMaterial.timestampVerificationData.rfc3161Timestamps = [
        { signedTimestamp: 'MAA=' },
      ];
    },
  ],
  ['no timestamp authority', ({ root }) => void (root.timestampAuthorities = [])],
  [
    'a timestamp authority that ended before',
    ({ root }) => {
      for (const one of root.timestampAuthorities) one.validFor = past;
    },
  ],
  [
    'a timestamp authority that begins later',
    ({ root }) => {
      for (const one of root.timestampAuthorities) one.validFor = future;
    },
  ],
  // The form.
  ['an unknown media type', ({ bundle }) => void (bundle.mediaType = 'application/json')],
  [
    'an unknown version',
    ({ bundle }) => void (bundle.mediaType = bundle.mediaType.replace('0.3', '0.9')),
  ],
  ['an unknown field', ({ bundle }) => void (bundle['extra'] = { field: 'x' })],
  ['an unknown field of the entry', (_made, first) => void (first['extra'] = 'x')],
  ['two contents', ({ bundle }) => void (bundle['messageSignature'] = { signature: 'MAA=' })],
];

const PASS_REKOR_1: readonly [string, Change][] = [
  ['no promise, but a timestamp', (_made, first) => void delete first['inclusionPromise']],
  ['no timestamp, but a promise', removeTimestamps],
  [
    'the certificate as a chain in version 0.2',
    ({ bundle }) => {
      const { certificate, ...rest } = bundle.verificationMaterial;
      bundle.mediaType = 'application/vnd.dev.sigstore.bundle+json;version=0.2';
      bundle.verificationMaterial = {
        ...rest,
        x509CertificateChain: { certificates: [certificate ?? { rawBytes: '' }] },
      };
    },
  ],
];

const FAIL_REKOR_1: readonly [string, Change][] = [
  [
    'another time in the entry',
    (_made, first) => void (first.integratedTime = String(Number(first.integratedTime) + 1)),
  ],
  ['another index in the log', (_made, first) => void (first.logIndex += '1')],
  [
    'a changed promise',
    (_made, { inclusionPromise: promise }) => {
      if (promise) promise.signedEntryTimestamp = flipped(promise.signedEntryTimestamp);
    },
  ],
  [
    'the promise of another entry',
    ({ other }, first) => {
      const [entry] = other.verificationMaterial.tlogEntries;
      if (entry?.inclusionPromise) first.inclusionPromise = entry.inclusionPromise;
    },
  ],
];

const FAIL_REKOR_2: readonly [string, Change][] = [
  ['no timestamp', removeTimestamps],
  [
    'a time in the entry instead of a timestamp',
    (made, first) => {
      removeTimestamps(made);
      first.integratedTime = String(Math.floor(Date.now() / 1000));
    },
  ],
  [
    'a promise without meaning',
    (_made, first) => void (first.inclusionPromise = { signedEntryTimestamp: 'MAA=' }),
  ],
];

describe.each([
  [1, PASS_REKOR_1, FAIL_REKOR_1],
  [2, [], FAIL_REKOR_2],
] as const)('a bundle with an entry of Rekor %i', (version, passing, failing) => {
  let made: Made;
  beforeAll(async () => {
    const { bundle: foreign, root: foreignRoot } = await sign(version);
    made = { ...(await sign(version)), foreign, foreignRoot };
  });

  async function judge(change: Change): Promise<{ ok: boolean; why: string }> {
    const changed = structuredClone(made);
    const [first] = changed.bundle.verificationMaterial.tlogEntries;
    if (first === undefined) throw new Error('there is no entry');
    change(changed, first);
    return accepts(changed);
  }

  it.each([...PASS, ...passing])('passes with %s', async (_what, change) => {
    expect(await judge(change)).toEqual({ ok: true, why: '' });
  });

  it.each([...FAIL, ...failing])('fails with %s', async (_what, change) => {
    const { ok, why } = await judge(change);
    expect(ok).toBe(false);
    expect(why).toMatch(/\w+ \w+/);
  });

  it.each([
    ['had expired', -1],
    ['was not yet valid', 1],
  ])('fails with a certificate that %s', async (_what, hours) => {
    const certificatesFrom = new Date(Date.now() + hours * HOUR);
    const late = await sign(version, { certificatesFrom });
    const { ok, why } = await accepts({ ...made, ...late });
    expect(ok).toBe(false);
    expect(why).toMatch(/certificate/);
  });
});
