import type { Bundle } from '@sigstore/bundle';
import { Unusable } from '../verify/unusable.ts';

const MEDIA_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
]);

/**
 * A bundle from JSON. What it says is all in what is checked: a field that nobody knows, or a value that could be
 * written in another way, is refused, as sigstore-go does with the former.
 * @throws Unusable
 */
export async function parseBundle(bytes: Buffer): Promise<Bundle> {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString());
  } catch {
    throw new Unusable('it is not JSON');
  }
  return bundleFrom(document);
}

/** @throws Unusable */
export async function bundleFrom(document: unknown): Promise<Bundle> {
  const { bundleFromJSON, bundleToJSON } = await import('@sigstore/bundle');
  const mediaType = (document as { mediaType?: unknown } | null)?.mediaType;
  if (typeof mediaType !== 'string' || !MEDIA_TYPES.has(mediaType))
    throw new Unusable('it is not a bundle of a version that lkt knows');
  let bundle: Bundle;
  let understood: unknown;
  try {
    bundle = bundleFromJSON(document);
    understood = bundleToJSON(bundle);
  } catch (error) {
    throw new Unusable(inWords(error));
  }
  requireUnderstood(document, understood, 'bundle');
  return bundle;
}

/** The library names the fields that are missing. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return 'it is not a bundle';
  const { fields } = error as { fields?: unknown };
  return Array.isArray(fields)
    ? `it is not a whole bundle: ${fields.join(', ')}`
    : `it is not a bundle: ${error.message}`;
}

/** Whether all of `given` is in what was understood of it. */
function requireUnderstood(given: unknown, understood: unknown, at: string): void {
  if (understood === undefined && isDefault(given)) return;
  if (typeof given !== 'object' || given === null) {
    // Numbers of 64 bits may be written as either.
    if (isSameScalar(given, understood)) return;
    throw new Unusable(
      understood === undefined
        ? `${at} is a field that lkt does not know`
        : `${at} is not written as it should be`,
    );
  }
  const isList = Array.isArray(given);
  if (typeof understood !== 'object' || understood === null || Array.isArray(understood) !== isList)
    throw new Unusable(`${at} is a field that lkt does not know`);
  if (isList && given.length !== (understood as unknown[]).length)
    throw new Unusable(`${at} is a list that lkt does not understand`);
  for (const [key, value] of Object.entries(given))
    requireUnderstood(value, (understood as Record<string, unknown>)[key], `${at}.${key}`);
}

function isSameScalar(given: unknown, understood: unknown): boolean {
  if (typeof given === 'number') return given === understood || String(given) === understood;
  return given === understood;
}

/** What JSON of protocol buffers leaves out, and others may write. */
function isDefault(given: unknown): boolean {
  if (Array.isArray(given)) return given.length === 0;
  if (typeof given === 'object' && given !== null) return Object.keys(given).length === 0;
  return given === null || given === '' || given === '0' || given === 0 || given === false;
}
