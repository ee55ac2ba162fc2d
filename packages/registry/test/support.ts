import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent } from '@lkt/core';
import {
  type Descriptor,
  type Layer,
  MediaType,
  openStore,
  parsePlatform,
  parseReference,
  type Reference,
  type Store,
  writeImage,
  writeIndex,
  writeReferrer,
} from '@lkt/oci';
import {
  type RegistryOptions as TestOptions,
  startRegistry,
  type TestRegistry,
} from '@lkt/testing';
import { onTestFinished } from 'vitest';
import type { RegistryOptions } from '../src/options.ts';
import { createRegistry, type Registry } from '../src/registry.ts';

export async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lkt-registry-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  return directory;
}

export async function newStore(): Promise<Store> {
  return openStore(await temporary());
}

export async function serve(options: TestOptions = {}): Promise<TestRegistry> {
  const registry = await startRegistry(options);
  onTestFinished(async () => registry[Symbol.asyncDispose]());
  return registry;
}

export function client(options: RegistryOptions = {}): Registry {
  const made = createRegistry({ backoff: [1, 1], idle: 20_000, ...options });
  onTestFinished(async () => made[Symbol.asyncDispose]());
  return made;
}

export function at({ host }: { readonly host: string }, name = 'app:1'): Reference {
  return parseReference(`${host}/${name}`);
}

/** Pushes a referrer of an image with a text as its only layer. */
export async function pushReferrer(
  registry: Registry,
  { domain, path }: Reference,
  subject: Descriptor,
  text: string,
  artifactType: string = 'text/x',
): Promise<Descriptor> {
  const store = await newStore();
  const layer = { mediaType: 'text/plain', ...(await store.writeBytes(Buffer.from(text))) };
  const annotations = { text };
  const referrer = await writeReferrer(store, {
    subject,
    artifactType,
    layers: [layer],
    annotations,
  });
  await registry.pushImage(store, referrer, { domain, path, digest: referrer.digest });
  return referrer;
}

/** Writes an image with layers of random bytes, which are not archives. */
export async function newImage(
  store: Store,
  sizes: readonly number[] = [100_000, 200_000],
  platform = 'linux/amd64',
): Promise<Descriptor> {
  const layers: Layer[] = [];
  for (const size of sizes) {
    const { digest } = await store.writeBytes(randomBytes(size));
    layers.push({ descriptor: { mediaType: MediaType.layerTar, digest, size }, diffId: digest });
  }
  return writeImage(store, { config: {}, layers, platform: parsePlatform(platform) });
}

export async function newIndex(store: Store, platforms: readonly string[]): Promise<Descriptor> {
  const images: Descriptor[] = [];
  for (const platform of platforms) images.push(await newImage(store, [1000], platform));
  return writeIndex(store, images);
}

export async function failure(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('it did not fail');
  return error as Error & Record<string, unknown>;
}

/** Returns all text of an error, including stack and causes. */
export function allOf(error: Error): string {
  const cause = error.cause instanceof Error ? allOf(error.cause) : JSON.stringify(error.cause);
  return `${error.message} ${error.stack} ${JSON.stringify(error)} ${cause}`;
}

export function recorder(): { events: ProgressEvent[]; emit: (event: ProgressEvent) => void } {
  const events: ProgressEvent[] = [];
  return { events, emit: (event) => events.push(event) };
}

/** Reports whether every blob of the image is in the store and intact. */
export async function isWhole(store: Store): Promise<boolean> {
  const { bad, checked } = await store.verify();
  return checked > 0 && bad.length === 0;
}

export function methods({ requests }: TestRegistry, path: RegExp): string[] {
  return requests.filter((request) => path.test(request.path)).map(({ method }) => method);
}
