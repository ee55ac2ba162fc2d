import { canonicalJson, digestOf, isDigest } from '@lkt/core';
import { type Descriptor, type ImageManifest, MediaType } from '@lkt/oci';
import type { LayerRef } from '../layers/layers.ts';

/** The layer of a step, or a fact about files that a step needed. */
export type StepFact = LayerRef | string;

/**
 * The artifact type of a cache: records of steps, and the layers they refer to, so that a registry
 * keeps those.
 */
const CACHE_TYPE = 'application/vnd.lkt.steps.v1+json';
const RECORDS_TYPE = 'application/vnd.lkt.steps.records.v1+json';
/** The annotation of a part: the prefix of its keys. */
const PREFIX = 'io.lkt.steps.prefix';

/** Number of records above which a part is split. */
const PART_RECORDS = 256;
const HEX_DIGITS = '0123456789abcdef'.split('');
/** The number that fits into a manifest of 4 MiB. */
export const MAX_RECORDS = 8192;

export interface Part {
  readonly prefix: string;
  readonly descriptor: Descriptor;
}

/** Returns the parts of a cache; undefined for another kind of artifact. */
export function partsOf({ artifactType, layers }: ImageManifest): readonly Part[] | undefined {
  if (artifactType !== CACHE_TYPE) return undefined;
  return layers.flatMap((descriptor) => {
    const prefix = descriptor.annotations?.[PREFIX];
    const isPart = descriptor.mediaType === RECORDS_TYPE && prefix !== undefined;
    return isPart && /^[0-9a-f]?$/.test(prefix) ? [{ prefix, descriptor }] : [];
  });
}

export interface ReadRecords {
  readonly facts: ReadonlyMap<string, StepFact>;
  /** Number of malformed records. */
  readonly bad: number;
}

/** Parses the records of a part. A malformed record is skipped. */
export function parseRecords(bytes: Uint8Array): ReadRecords {
  const facts = new Map<string, StepFact>();
  let bad = 0;
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return { facts, bad: 1 };
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return { facts, bad: 1 };
  for (const [key, value] of Object.entries(document)) {
    const fact = /^[0-9a-f]{64}$/.test(key) ? factFrom(value) : undefined;
    if (fact === undefined) bad += 1;
    else facts.set(key, fact);
  }
  return { facts, bad };
}

const LAYER_TYPES: ReadonlySet<unknown> = new Set([MediaType.layerGzip, MediaType.layerTar]);

function factFrom(value: unknown): StepFact | undefined {
  if (typeof value === 'string') {
    const isAnswer = value === 'true' || value === 'false' || isDigest(value);
    return isAnswer ? value : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { diffId, layer } = value as { diffId?: unknown; layer?: unknown };
  if (typeof diffId !== 'string' || !isDigest(diffId)) return undefined;
  if (typeof layer !== 'object' || layer === null) return undefined;
  const { mediaType, digest, size } = layer as Partial<Record<keyof Descriptor, unknown>>;
  if (!LAYER_TYPES.has(mediaType) || typeof digest !== 'string' || !isDigest(digest))
    return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= 0) return undefined;
  return { diffId, descriptor: { mediaType: mediaType as string, digest, size } };
}

export interface WrittenCache {
  readonly manifest: Buffer;
  /** The blobs of the cache, beside the layers. */
  readonly blobs: readonly Buffer[];
}

/** Serializes a cache. Equal facts give equal bytes. */
export function writeCache(facts: ReadonlyMap<string, StepFact>): WrittenCache {
  const keys = [...facts.keys()].toSorted();
  const prefixes = keys.length <= PART_RECORDS ? [''] : HEX_DIGITS;
  const blobs: Buffer[] = [];
  const parts: Descriptor[] = [];
  for (const prefix of prefixes) {
    const own = keys.filter((key) => key.startsWith(prefix));
    const bytes = Buffer.from(
      canonicalJson(Object.fromEntries(own.map((key) => [key, jsonOf(facts.get(key) ?? '')]))),
    );
    blobs.push(bytes);
    parts.push({
      mediaType: RECORDS_TYPE,
      digest: digestOf(bytes),
      size: bytes.length,
      annotations: { [PREFIX]: prefix },
    });
  }
  const layers = new Map<string, Descriptor>();
  for (const key of keys) {
    const fact = facts.get(key);
    if (typeof fact === 'object' && fact.descriptor !== null)
      layers.set(fact.descriptor.digest, fact.descriptor);
  }
  const empty = Buffer.from('{}');
  blobs.push(empty);
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    artifactType: CACHE_TYPE,
    config: { mediaType: MediaType.ociEmpty, digest: digestOf(empty), size: empty.length },
    layers: [...parts, ...layers.values()],
  };
  return { manifest: Buffer.from(canonicalJson(manifest)), blobs };
}

function jsonOf(fact: StepFact): unknown {
  if (typeof fact === 'string' || fact.descriptor === null) return fact;
  const { mediaType, digest, size } = fact.descriptor;
  return { diffId: fact.diffId, layer: { mediaType, digest, size } };
}
