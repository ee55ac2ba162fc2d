import { readFile } from 'node:fs/promises';
import { type Digest, digestOf, isErrno } from '@lkt/core';

/** Where and when a trusted root was fetched: a file beside it, such as `trusted_root.tuf.json`. */
export interface RootRecord {
  /** Digest of the trusted root. */
  readonly digest: Digest;
  /** URL of the TUF repository. */
  readonly url: string;
  /** When it was fetched, in ISO 8601. */
  readonly fetched: string;
  /** Versions of the TUF metadata. */
  readonly rootVersion: number;
  readonly targetsVersion: number;
  /** When the metadata expires, in ISO 8601. An expired trusted root still verifies. */
  readonly expires: string;
}

/** Returns the path of the record of a trusted root. */
export function rootRecordPath(path: string): string {
  return `${path.replace(/\.json$/, '')}.tuf.json`;
}

/**
 * Reads the record of a trusted root; undefined if it is missing, or if it describes another
 * trusted root. It is not signed, so it serves only for display and reminders.
 */
export async function readRootRecord(path: string, text: string): Promise<RootRecord | undefined> {
  try {
    const record: unknown = JSON.parse(await readFile(rootRecordPath(path), 'utf8'));
    return isRecord(record) && record.digest === digestOf(text) ? record : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES') || error instanceof SyntaxError)
      return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is RootRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { digest, url, fetched, rootVersion, targetsVersion, expires } = value as Partial<
    Record<keyof RootRecord, unknown>
  >;
  return (
    [digest, url].every((text) => typeof text === 'string') &&
    [fetched, expires].every(
      (text) => typeof text === 'string' && !Number.isNaN(Date.parse(text)),
    ) &&
    [rootVersion, targetsVersion].every((version) => Number.isSafeInteger(version))
  );
}
