import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
  type SigstoreOptions,
  startRegistry,
  startSigstore,
  type TestRegistry,
  type TestSigstore,
} from '@lkt/testing';
import { onTestFinished } from 'vitest';
import { parseImagePattern } from '../src/policy/image-pattern.ts';
import { evaluatePolicy, type Verdict } from '../src/policy/policy.ts';
import { generateKey, type KeyType, readPublicKey, readSigningKey } from '../src/keys/keys.ts';
import {
  keylessSigner,
  keySigner,
  type Signer,
  type WitnessOptions,
} from '../src/signing/signer.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import type { TrustedSigners, Verification } from '../src/verify/verification.ts';

export const WORKFLOW = 'https://github.example/lkt/.github/workflows/release.yml@refs/heads/main';

export async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lkt-sign-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  return directory;
}

export async function sigstore(options?: SigstoreOptions): Promise<TestSigstore> {
  const started = await startSigstore(options);
  onTestFinished(async () => started[Symbol.asyncDispose]());
  return started;
}

/** A registry with a client, and a store; both have one image. */
export interface Fixture {
  readonly server: TestRegistry;
  readonly registry: Registry;
  readonly store: Store;
  readonly subject: Descriptor;
  readonly name: Reference;
  /** `127.0.0.1:1234/app@sha256:…` */
  readonly reference: string;
}

export async function createFixture(
  options?: Parameters<typeof startRegistry>[0],
): Promise<Fixture> {
  const server = await startRegistry(options);
  onTestFinished(async () => server[Symbol.asyncDispose]());
  const registry = createRegistry({ backoff: [1, 1] });
  onTestFinished(async () => registry[Symbol.asyncDispose]());
  const store = await openStore(await temporary());
  const name = parseReference(`${server.host}/app`);
  const subject = await newImage(store);
  await registry.pushImage(store, subject, { ...name, tag: '1' });
  return {
    server,
    registry,
    store,
    subject,
    name,
    reference: `${server.host}/app@${subject.digest}`,
  };
}

export async function newImage(store: Store): Promise<Descriptor> {
  const { digest, size } = await store.writeBytes(randomBytes(1000));
  const layers = [{ descriptor: { mediaType: MediaType.layerTar, digest, size }, diffId: digest }];
  return writeImage(store, { config: {}, layers, platform: parsePlatform('linux/amd64') });
}

/** Pushes a referrer of an image with one layer, or none. */
export async function pushReferrer(
  { registry, store, name }: Pick<Fixture, 'name' | 'registry' | 'store'>,
  subject: Descriptor,
  artifactType: string,
  layer?: { readonly mediaType: string; readonly bytes: Uint8Array },
  annotations?: Readonly<Record<string, string>>,
): Promise<void> {
  const layers =
    layer === undefined
      ? []
      : [{ mediaType: layer.mediaType, ...(await store.writeBytes(layer.bytes)) }];
  const referrer = await writeReferrer(store, { subject, artifactType, layers, annotations });
  await registry.pushImage(store, referrer, { ...name, digest: referrer.digest });
}

/** Returns the verdict of a policy that requires a signature by one of the trusted signers. */
export function verdictOf(
  { name, subject: { digest } }: Pick<Fixture, 'name' | 'subject'>,
  verified: Verification,
  { keys = [], identities = [], root }: TrustedSigners,
): Verdict {
  const images = [parseImagePattern('**')];
  const rules = [{ name: 'the rule', images, signers: { threshold: 1, keys, identities } }];
  const policy = { name: 'the policy', required: [], unsigned: [], rules, root };
  return evaluatePolicy(policy, { ...name, digest }, verified);
}

/** Generates a key with its signer, its trust, and the directory with its files for cosign. */
export async function newKey(
  options?: WitnessOptions,
  type?: KeyType,
): Promise<{
  signer: Signer;
  /** A signer with the same key and other witnesses. */
  with: (options: WitnessOptions) => Signer;
  trust: TrustedSigners;
  directory: string;
}> {
  const directory = await temporary();
  const pair = await generateKey('', type);
  await writeFile(join(directory, 'cosign.key'), pair.privateKey);
  await writeFile(join(directory, 'cosign.pub'), pair.publicKey);
  const trust = { keys: [await readPublicKey(join(directory, 'cosign.pub'))] };
  const key = await readSigningKey(pair.privateKey);
  return {
    signer: keySigner(key, options),
    with: (other) => keySigner(key, other),
    trust,
    directory,
  };
}

/** Returns a keyless signer and the trust that accepts it. */
export async function keyless(
  instance: TestSigstore,
  { subject = WORKFLOW, tsa = false }: { subject?: string; tsa?: boolean } = {},
): Promise<{ signer: Signer; trust: TrustedSigners }> {
  const signer = keylessSigner({
    identity: instance.issuer.token(subject),
    fulcioUrl: instance.url,
    rekorUrl: instance.url,
    tsaUrl: tsa ? instance.url : undefined,
  });
  const root = await parseTrustedRoot(instance.trustedRoot, 'trusted_root.json');
  return { signer, trust: { root, identities: [{ subject, issuer: instance.issuer.url }] } };
}

/** Runs a program that may connect to servers of this process. */
export async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ status: number; output: string }> {
  const home = await temporary();
  const all = { PATH: process.env['PATH'], HOME: home, COSIGN_PASSWORD: '', ...env };
  return new Promise((resolve) => {
    execFile(program, args, { env: all, cwd: home }, (error, stdout, stderr) => {
      const status = error === null ? 0 : Number(error.code ?? 1);
      resolve({ status, output: `${stdout}${stderr}` });
    });
  });
}
