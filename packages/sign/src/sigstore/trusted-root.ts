import type { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs';
import { LktError } from '@lkt/core';

/**
 * The authorities of a Sigstore instance: who gives certificates, logs and timestamps (`trusted_root.json`). All that
 * verification needs; nothing is fetched.
 */
export interface TrustedRoot {
  /** Where it came from, for people. */
  readonly name: string;
  readonly message: RootMessage;
}

/** @throws LktError CONFIG_INVALID */
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
      throw new Error('its mediaType is not that of a trusted root');
    const message = Message.fromJSON(document);
    if (message.tlogs.length === 0 && message.timestampAuthorities.length === 0)
      throw new Error('it names neither a log nor a timestamp authority');
    return { name, message };
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', `${name} is not a trusted root of Sigstore`, {
      cause,
      fix: 'save the one of your Sigstore instance, such as with `cosign trusted-root create`',
    });
  }
}
