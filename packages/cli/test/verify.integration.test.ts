import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Descriptor,
  MediaType,
  openStore,
  parsePlatform,
  parseReference,
  type Reference,
  type Store,
  writeImage,
  writeReferrer,
} from '@lkt/oci';
import { createRegistry, type Registry } from '@lkt/registry';
import {
  collectFromStore,
  generateKey,
  keylessSigner,
  keySigner,
  pushSignatures,
  readSigningKey,
  signImage,
  type Signer,
  type Statement,
} from '@lkt/sign';
import { startRegistry, startSigstore, type TestRegistry, type TestSigstore } from '@lkt/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { main } from './program.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const WORKFLOW = 'https://github.example/lkt/.github/workflows/release.yml@refs/heads/main';

const cleanup = new AsyncDisposableStack();
afterAll(async () => cleanup.disposeAsync());

let directory = '';
let store: Store;
let registry: Registry;
let server: TestRegistry;
let instance: TestSigstore;
let expired: TestSigstore;
let other: TestSigstore;
const keys = new Map<string, Signer>();

beforeAll(async () => {
  directory = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'lkt-verify-'))).path;
  store = await openStore(join(directory, 'images'));
  server = cleanup.use(await startRegistry());
  registry = cleanup.use(createRegistry({ backoff: [1, 1] }));
  instance = cleanup.use(await startSigstore());
  other = cleanup.use(await startSigstore());
  const hourAgo = new Date(Date.now() - 3_600_000);
  expired = cleanup.use(await startSigstore({ certificatesFrom: hourAgo }));
  for (const name of ['mine', 'theirs']) {
    const pair = await generateKey('');
    await writeFile(join(directory, `${name}.pub`), pair.publicKey);
    keys.set(name, keySigner(await readSigningKey(pair.privateKey)));
  }
});

function keyOf(name: 'mine' | 'theirs'): Signer {
  const key = keys.get(name);
  if (key === undefined) throw new Error(`there is no key ${name}`);
  return key;
}

function identity(at: TestSigstore = instance, subject = WORKFLOW): Signer {
  return keylessSigner({
    identity: at.issuer.token(subject),
    fulcioUrl: at.url,
    rekorUrl: at.url,
    tsaUrl: at.url,
  });
}

const byKey = (): readonly string[] => ['--key', join(directory, 'mine.pub')];

function byIdentity(at: TestSigstore = instance, subject = WORKFLOW): readonly string[] {
  const root = ['--trusted-root', join(at.directory, 'trusted_root.json')];
  return ['--identity', subject, '--issuer', at.issuer.url, ...root];
}

/** An image in its own repository, with a signer's bundle. */
interface Signed {
  readonly name: Reference;
  readonly subject: Descriptor;
  readonly bundle: Bundle;
}

interface Bundle {
  readonly verificationMaterial: Record<string, unknown> & {
    tlogEntries?: Record<string, unknown>[];
  };
  readonly dsseEnvelope: Record<string, unknown>;
}

async function newImage(): Promise<Pick<Signed, 'name' | 'subject'>> {
  const { digest, size } = await store.writeBytes(randomBytes(100));
  const layers = [{ descriptor: { mediaType: MediaType.layerTar, digest, size }, diffId: digest }];
  const platform = parsePlatform('linux/amd64');
  const subject = await writeImage(store, { config: {}, layers, platform });
  const name = parseReference(`${server.host}/app-${digest.slice(7, 19)}`);
  await registry.pushImage(store, subject, { ...name, tag: '1' });
  return { name, subject };
}

async function signed(signer: Signer): Promise<Signed> {
  const { name, subject } = await newImage();
  await signImage(store, { subject, name, signer });
  const { items } = await collectFromStore(store, subject.digest);
  const item = items.find(({ kind }) => kind === 'bundle');
  return { name, subject, bundle: JSON.parse(item?.bytes.toString() ?? '') as Bundle };
}

/** Stores bundles beside an image. */
async function put(
  { name, subject }: Pick<Signed, 'name' | 'subject'>,
  ...bundles: readonly unknown[]
): Promise<void> {
  for (const bundle of bundles) {
    const bytes = Buffer.from(JSON.stringify(bundle));
    const layers = [{ mediaType: BUNDLE, ...(await store.writeBytes(bytes)) }];
    const referrer = await writeReferrer(store, { subject, artifactType: BUNDLE, layers });
    await registry.pushImage(store, referrer, { ...name, digest: referrer.digest });
  }
}

/** Runs `lkt verify` with an empty store. */
async function verify(
  { name, subject }: Pick<Signed, 'name' | 'subject'>,
  flags: readonly string[],
): Promise<{ status: number; stdout: string; stderr: string }> {
  const reference = `${name.domain}/${name.path}@${subject.digest}`;
  const args = [main, 'verify', ...flags, reference];
  const env = { PATH: process.env['PATH'], HOME: directory, LKT_CACHE: join(directory, 'empty') };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: directory, env }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

function entriesOf({ verificationMaterial: { tlogEntries = [] } }: Bundle): typeof tlogEntries {
  return tlogEntries;
}

function withEntries(bundle: Bundle, tlogEntries: readonly object[]): object {
  return { ...bundle, verificationMaterial: { ...bundle.verificationMaterial, tlogEntries } };
}

function without(bundle: Bundle, field: string): object {
  const entries = entriesOf(bundle).map((entry) =>
    Object.fromEntries(Object.entries(entry).filter(([key]) => key !== field)),
  );
  return withEntries(bundle, entries);
}

interface Case {
  readonly flags: readonly string[];
  readonly image: Pick<Signed, 'name' | 'subject'>;
}

const CASES: readonly [string, RegExp, () => Promise<Case>][] = [
  [
    'without a signature',
    /but none has/,
    async () => ({ image: await newImage(), flags: byKey() }),
  ],
  [
    'with a deleted signature',
    /but none has/,
    async () => {
      const image = await signed(keyOf('mine'));
      await pushSignatures(registry, store, image.name, image.subject.digest);
      const { digest } = image.subject;
      const { manifests, tags } = server.storage.repository(image.name.path);
      for (const found of await registry.referrers({ ...image.name, digest }))
        manifests.delete(found.digest);
      tags.delete(`${digest.replace(':', '-')}.sig`);
      return { image, flags: byKey() };
    },
  ],
  [
    'signed with another key',
    /signed with an untrusted key/,
    async () => {
      const image = await signed(keyOf('theirs'));
      await put(image, image.bundle);
      return { image, flags: byKey() };
    },
  ],
  [
    'signed by an untrusted identity',
    /signed by jane@example\.org \(https:\/\/issuer\.example\), who is not trusted/,
    async () => {
      const image = await signed(identity(instance, 'jane@example.org'));
      await put(image, image.bundle);
      return { image, flags: byIdentity() };
    },
  ],
  [
    'signed by a trusted subject of another provider',
    /who is not trusted/,
    async () => {
      const image = await signed(identity());
      await put(image, image.bundle);
      const flags = byIdentity().map((flag) =>
        flag === instance.issuer.url ? 'https://other.example' : flag,
      );
      return { image, flags };
    },
  ],
  [
    'with a certificate of another instance',
    /authority|the signing time is not proven/,
    async () => {
      const image = await signed(identity(other));
      await put(image, image.bundle);
      return { image, flags: byIdentity() };
    },
  ],
  [
    'signed after its certificate expired',
    /valid from .* to .*, but the signature was logged at/,
    async () => {
      const image = await signed(identity(expired));
      await put(image, image.bundle);
      return { image, flags: byIdentity(expired) };
    },
  ],
  [
    'with the signature of another image',
    /another image, sha256:[0-9a-f]{64}/,
    async () => {
      const image = await newImage();
      await put(image, (await signed(identity())).bundle);
      return { image, flags: byIdentity() };
    },
  ],
  [
    'with a log entry without a proof',
    /inclusionProof/,
    async () => {
      const image = await signed(identity());
      await put(image, without(image.bundle, 'inclusionProof'));
      return { image, flags: byIdentity() };
    },
  ],
  [
    'without a log entry',
    /not in a trusted log/,
    async () => {
      const image = await signed(identity());
      await put(image, withEntries(image.bundle, []));
      return { image, flags: byIdentity() };
    },
  ],
  [
    'with the log entry of another signature',
    /the log entry belongs to another signature/,
    async () => {
      const image = await signed(identity());
      const replayed = entriesOf((await signed(identity())).bundle);
      await put(image, withEntries(image.bundle, replayed));
      return { image, flags: byIdentity() };
    },
  ],
  [
    'with malformed bundles',
    /not|none/,
    async () => {
      const image = await newImage();
      await put(image, {}, null, 'x', { mediaType: BUNDLE });
      return { image, flags: byKey() };
    },
  ],
];

describe('lkt verify rejects an image', () => {
  test.concurrent.each(CASES)('%s', async (_name, reason, prepare) => {
    const { image, flags } = await prepare();
    const { status, stdout, stderr } = await verify(image, flags);
    expect({ status, stdout, stderr }).toMatchObject({ status: 1 });
    expect(stdout).toMatch(/REFUSED$/m);
    expect(stdout).toMatch(reason);
    expect(stderr).toMatch(/^error: .* is not trusted: /m);
    expect(stderr).not.toMatch(/^ +at /m);
  });
});

test('lkt verify asks about several images at once, over few connections', async () => {
  const images = await Promise.all(Array.from({ length: 12 }, async () => signed(keyOf('mine'))));
  for (const { name, subject } of images)
    await pushSignatures(registry, store, name, subject.digest);
  const references = images.map(
    ({ name, subject }) => `${name.domain}/${name.path}@${subject.digest}`,
  );
  const [last, ...others] = images.toReversed();
  if (last === undefined) throw new Error('there is no image');
  const names = others.toReversed().map(({ name }) => name.path);
  const before = server.requests.length;
  const { status, stdout } = await verify(last, [...byKey(), ...references.slice(0, -1)]);
  expect(status).toBe(0);
  const order = [...names, last.name.path].map((path) => stdout.indexOf(path));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(order[0]).toBeGreaterThanOrEqual(0);
  const requests = server.requests.slice(before);
  expect(new Set(requests.map(({ port }) => port)).size).toBeLessThanOrEqual(8);
  // The signature's manifest and payload, and the list of referrers.
  for (const { name } of images)
    expect(requests.filter(({ path }) => path.startsWith(`/v2/${name.path}/`))).toHaveLength(3);
});

/** Returns what was signed by which key, as the report lists it, sorted. */
function linesOf(report: string): readonly string[] {
  return [...report.matchAll(/^ {2}(.+) by the key \S*(mine|theirs)\.pub/gm)]
    .map(([, what, who]) => `${what} by ${who}`)
    .toSorted();
}

test('lkt verify --all lists the signatures and attestations of all signers', async () => {
  const image = await signed(keyOf('theirs'));
  const { name, subject } = image;
  const statement: Statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'app', digest: { sha256: subject.digest.slice(7) } }],
    predicateType: 'https://spdx.dev/Document',
    predicate: { spdxVersion: 'SPDX-2.3' },
  };
  await signImage(store, { subject, name, signer: keyOf('mine'), statements: [statement] });
  await pushSignatures(registry, store, name, subject.digest);
  const flags = [...byKey(), '--key', join(directory, 'theirs.pub')];
  const some = await verify(image, flags);
  expect(some).toMatchObject({ status: 0 });
  expect(linesOf(some.stdout)).toHaveLength(1);
  const all = await verify(image, ['--all', ...flags]);
  expect(all).toMatchObject({ status: 0 });
  expect(linesOf(all.stdout)).toEqual(['SBOM by mine', 'signature by mine', 'signature by theirs']);
});

/** Returns copies of the document, each with one bit of a string or number flipped. */
function flips(value: unknown, bit: number): unknown[] {
  if (typeof value === 'number') return [value ^ (1 << bit)];
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    const isBase64 = value !== '' && bytes.toString('base64') === value;
    const changed = isBase64 ? bytes : Buffer.from(value);
    const at = Math.floor(changed.length / 2);
    if (changed.length === 0) return ['x'];
    changed[at] = (changed[at] ?? 0) ^ (1 << bit);
    return [isBase64 ? changed.toString('base64') : changed.toString('latin1')];
  }
  if (Array.isArray(value))
    return value.flatMap((item, index) =>
      flips(item, bit).map((one) => value.with(index, one) as unknown),
    );
  return Object.entries(value as object).flatMap(([key, item]) =>
    flips(item, bit).map((one) => ({ ...(value as object), [key]: one })),
  );
}

describe.each<[string, () => Signer, () => readonly string[]]>([
  ['a key', () => keyOf('mine'), byKey],
  ['an identity', () => identity(), () => byIdentity()],
])('a bundle signed by %s', (_who, signer, flags) => {
  test('accepts the signature, and rejects it with any field changed by a bit', async () => {
    const image = await signed(signer());
    // The wrapper of a timestamp is not signed, so the timestamp is left out.
    const { timestampVerificationData: _left, ...material } = image.bundle.verificationMaterial;
    const bundle = { ...image.bundle, verificationMaterial: material };
    const changed = [0, 2].flatMap((bit) => flips(bundle, bit));
    expect(changed.length).toBeGreaterThan(9);
    await put(image, ...changed);
    const refused = await verify(image, ['--json', ...flags()]);
    expect(refused).toMatchObject({ status: 1 });
    const reasons = refused.stdout.match(/"reason": ".*"/g) ?? [];
    expect(reasons).toHaveLength(changed.length);
    for (const reason of reasons) expect(reason).toMatch(/"reason": "\w+ .*\w+/);
    await put(image, image.bundle);
    const accepted = await verify(image, flags());
    expect(accepted).toMatchObject({ status: 0 });
    expect(accepted.stdout).toMatch(/  signed$/m);
  });
});
