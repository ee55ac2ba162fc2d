import { LktError } from '@lkt/core';
import type { Service, ServiceConfiguration } from '@sigstore/protobuf-specs';

/** The services of a Sigstore instance to sign with. */
export interface SigningServices {
  readonly fulcioUrl?: string | undefined;
  readonly rekorUrl?: string | undefined;
  readonly rekorVersion?: 1 | 2 | undefined;
  readonly tsaUrl?: string | undefined;
}

/**
 * Parses a `signing_config.json` of version 0.2 (sigstore_trustroot.proto, SigningConfig), and
 * selects the services that are valid at a time.
 * @param name of the file, for messages
 * @throws CONFIG_INVALID; UNSUPPORTED if it requires several logs or timestamps
 */
export async function parseSigningConfig(
  text: string,
  name: string,
  now: Date,
): Promise<SigningServices> {
  const { SigningConfig } = await import('@sigstore/protobuf-specs');
  let config;
  try {
    const document: unknown = JSON.parse(text);
    config = SigningConfig.fromJSON(document);
    if (config.mediaType !== 'application/vnd.dev.sigstore.signingconfig.v0.2+json')
      throw new Error('mediaType is not that of a signing config of version 0.2');
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', `${name} is not a Sigstore signing config`, {
      cause,
      fix: 'save the signing config of your Sigstore instance, such as with `cosign signing-config create`',
    });
  }
  const at = { name, now };
  const { caUrls, rekorTlogUrls, rekorTlogConfig, tsaUrls, tsaConfig } = config;
  const log = select('log', rekorTlogUrls, 2, at, await choiceOf(rekorTlogConfig));
  const authority = select('timestamp authority', tsaUrls, 1, at, await choiceOf(tsaConfig));
  return {
    fulcioUrl: select('certificate authority', caUrls, 1, at, 'any')?.url,
    rekorUrl: log?.url,
    rekorVersion: log?.majorApiVersion === 2 ? 2 : 1,
    tsaUrl: authority?.url,
  };
}

/** How many services of a kind are to be used: any of them, or all. */
type Choice = 'all' | 'any' | 'several' | 'undefined';

async function choiceOf({ selector, count }: Partial<ServiceConfiguration> = {}): Promise<Choice> {
  const { ServiceSelector } = await import('@sigstore/protobuf-specs');
  const isExact = selector === ServiceSelector.EXACT;
  if (selector === ServiceSelector.ANY || (isExact && count === 1)) return 'any';
  if (selector === ServiceSelector.ALL) return 'all';
  return isExact ? 'several' : 'undefined';
}

/**
 * Selects the service with the highest supported API version, of those the newest; undefined if the
 * config names none.
 */
function select(
  kind: string,
  services: readonly Service[],
  maxVersion: number,
  { name, now }: { readonly name: string; readonly now: Date },
  choice: Choice,
): Service | undefined {
  if (services.length === 0) return undefined;
  const usable = services.filter(
    ({ majorApiVersion: version, validFor }) =>
      version >= 1 &&
      version <= maxVersion &&
      validFor?.start !== undefined &&
      validFor.start <= now &&
      (validFor.end === undefined || now <= validFor.end),
  );
  const highest = Math.max(...usable.map(({ majorApiVersion }) => majorApiVersion));
  const best = usable.filter(({ majorApiVersion }) => majorApiVersion === highest);
  const [first] = best.toSorted((a, b) => startOf(b) - startOf(a));
  if (first === undefined)
    throw new LktError('CONFIG_INVALID', `${name} names no ${kind} that is usable now`, {
      fix: 'get the current signing config of your Sigstore instance',
    });
  if (choice === 'undefined')
    throw new LktError('CONFIG_INVALID', `${name} does not say how to select a ${kind}`);
  if (choice === 'several' || (choice === 'all' && best.length > 1))
    throw new LktError('UNSUPPORTED', `${name} requires more than one ${kind}`, {
      fix: 'use a signing config with the selector ANY',
    });
  return first;
}

function startOf({ validFor }: Service): number {
  return validFor?.start?.getTime() ?? 0;
}
