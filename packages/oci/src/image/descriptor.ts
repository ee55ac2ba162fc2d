import { type Digest, isDigest } from '@lkt/core';
import { type Platform, platformOf } from './platform.ts';

/** Identifies content by media type, digest and size (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
}

/**
 * Parses a descriptor from JSON; fields lkt does not use are dropped.
 * @param at its position in the document, for messages
 * @throws Error with the reason
 */
export function descriptorFrom(value: unknown, at: string): Descriptor {
  const { mediaType, digest, size, annotations, platform, artifactType } = fieldsFrom(
    value,
    DESCRIPTOR_FIELDS,
    at,
  );
  if (typeof mediaType !== 'string' || mediaType === '')
    throw new Error(`${at}.mediaType is missing`);
  if (typeof digest !== 'string' || !isDigest(digest))
    throw new Error(`${at}.digest is not a sha256 or sha512 digest`);
  if (!Number.isSafeInteger(size) || Number(size) < 0)
    throw new Error(`${at}.size is not a whole number of bytes`);
  return {
    mediaType,
    digest,
    size: Number(size),
    annotations: annotations == null ? undefined : stringsFrom(annotations, `${at}.annotations`),
    platform: platform == null ? undefined : platformFrom(platform, `${at}.platform`),
    artifactType: optionalTextFrom(artifactType, `${at}.artifactType`),
  };
}

/**
 * Returns a JSON value as an object.
 * @throws Error with the reason
 */
export function objectFrom(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${at} is not an object`);
  return value as Record<string, unknown>;
}

/**
 * Returns a JSON value as an object, in which no key is a variant of one of these names: programs
 * in Go take "Layers" for "layers", and of both the last one.
 * @throws Error with the reason
 */
export function fieldsFrom(
  value: unknown,
  names: ReadonlySet<string>,
  at: string,
): Record<string, unknown> {
  const object = objectFrom(value, at);
  for (const key of Object.keys(object)) {
    if (names.has(key)) continue;
    for (const name of names)
      if (folded(name) === folded(key))
        throw new Error(`${at} has ${JSON.stringify(key)} instead of "${name}"`);
  }
  return object;
}

/** Folds cases as Go's encoding/json, for which "ſ" is an "s" too. */
function folded(name: string): string {
  return name.toUpperCase().toLowerCase();
}

/**
 * Returns a JSON value as text.
 * @throws Error with the reason
 */
export function textFrom(value: unknown, at: string): string {
  if (typeof value !== 'string') throw new Error(`${at} is not a string`);
  return value;
}

/** As `textFrom`, for a field that may be missing or, as Go writes it, null. */
export function optionalTextFrom(value: unknown, at: string): string | undefined {
  return value == null ? undefined : textFrom(value, at);
}

/**
 * Returns a JSON value as a list.
 * @throws Error with the reason
 */
export function listFrom(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${at} is not a list`);
  return value;
}

/**
 * Returns a JSON value as an object of strings.
 * @throws Error with the reason
 */
export function stringsFrom(value: unknown, at: string): Record<string, string> {
  const object = objectFrom(value, at);
  for (const [key, item] of Object.entries(object)) textFrom(item, `${at}["${key}"]`);
  return object as Record<string, string>;
}

const DESCRIPTOR_FIELDS: ReadonlySet<string> = new Set(
  'mediaType digest size urls annotations data platform artifactType'.split(' '),
);
const PLATFORM_FIELDS: ReadonlySet<string> = new Set(
  'os architecture variant os.version os.features'.split(' '),
);

function platformFrom(value: unknown, at: string): Platform {
  const { os, architecture, variant } = fieldsFrom(value, PLATFORM_FIELDS, at);
  if (typeof os !== 'string' || typeof architecture !== 'string')
    throw new Error(`${at} needs os and architecture`);
  return platformOf({ os, architecture, variant: optionalTextFrom(variant, `${at}.variant`) });
}
