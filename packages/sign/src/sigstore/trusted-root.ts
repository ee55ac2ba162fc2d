import type { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import { readFile } from 'node:fs/promises';
import { LktError } from '@lkt/core';
import { readRootRecord, type RootRecord } from './root-record.ts';

/**
 * The authorities of a Sigstore instance for certificates, logs and timestamps
 * (`trusted_root.json`). Verification needs no other file, and fetches nothing.
 */
export interface TrustedRoot {
  /** Origin of the file, for messages. */
  readonly name: string;
  readonly message: RootMessage;
  /** The origin of the file, from a record beside it. */
  readonly record?: RootRecord | undefined;
}

/**
 * Reads a `trusted_root.json`, and its record.
 * @param name of the file, for messages
 * @throws CONFIG_INVALID; errors of the file system
 */
export async function readTrustedRoot(path: string, name: string): Promise<TrustedRoot> {
  const text = await readFile(path, 'utf8');
  return { ...(await parseTrustedRoot(text, name)), record: await readRootRecord(path, text) };
}

/**
 * Parses a `trusted_root.json`.
 * @param name of the file, for messages
 * @throws CONFIG_INVALID
 */
export async function parseTrustedRoot(text: string, name: string): Promise<TrustedRoot> {
  const { TrustedRoot: Message } = await import('@sigstore/protobuf-specs');
  try {
    const document: unknown = JSON.parse(text);
    const { mediaType } = document as { mediaType?: unknown };
    if (
      typeof mediaType !== 'string' ||
      !/^application\/vnd\.dev\.sigstore\.trustedroot(?:\+json;version=0\.\d+|\.v0\.\d+\+json)$/.test(
        mediaType,
      )
    )
      throw new Error('mediaType is not that of a trusted root');
    const message = Message.fromJSON(document);
    if (message.tlogs.length === 0 && message.timestampAuthorities.length === 0)
      throw new Error('it has neither a log nor a timestamp authority');
    requireStarts(message);
    return { name, message };
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', `${name} is not a Sigstore trusted root`, {
      cause,
      fix: 'save the trusted root of your Sigstore instance with `cosign trusted-root create`',
    });
  }
}

/** Requires the start of each validity, without which a key would be trusted for all time. */
function requireStarts(root: RootMessage): void {
  const periods = [
    ...[...root.tlogs, ...root.ctlogs].map((log) => log.publicKey?.validFor),
    ...[...root.certificateAuthorities, ...root.timestampAuthorities].map((one) => one.validFor),
  ];
  if (!periods.every((period) => period?.start !== undefined))
    throw new Error('an authority or log has no validFor.start');
}
