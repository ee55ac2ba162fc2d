import { LktError } from '@lkt/core';
import { formatPlatform, parsePlatform, type Platform } from '@lkt/oci';

/** The address of a BuildKit, and the client program for it. */
export type Builder =
  | { readonly program: 'buildctl'; readonly address: string }
  | { readonly program: 'docker'; readonly name: string };

/** The configured builders: some for one platform each, and one for all others. */
export interface Builders {
  readonly platforms: ReadonlyMap<string, Builder>;
  readonly others: Builder | undefined;
}

const ADDRESS_FORMS =
  'tcp://HOST:PORT, unix:///PATH, docker-container://NAME or buildx:NAME, with the prefix linux/ARCH= for one platform';

/**
 * Parses `[OS/ARCH=]ADDRESS`, where ADDRESS is as in `parseBuilder`.
 * @throws USAGE_INVALID for an invalid address, or two builders for one platform
 */
export function parseBuilders(texts: readonly string[]): Builders {
  const platforms = new Map<string, Builder>();
  let others: Builder | undefined;
  for (const text of texts) {
    const [, prefix, address = ''] = /^(?:([a-z0-9]+\/[^=:]*)=)?(.*)$/s.exec(text) ?? [];
    const builder = parseBuilder(address);
    const platform = prefix === undefined ? undefined : formatPlatform(parsePlatform(prefix));
    if (platform === undefined ? others !== undefined : platforms.has(platform))
      throw new LktError(
        'USAGE_INVALID',
        `two builders are given for ${platform ?? 'all platforms'}`,
        { fix: 'give one, or one for each platform: --builder linux/arm64=ADDRESS' },
      );
    if (platform === undefined) others = builder;
    else platforms.set(platform, builder);
  }
  return { platforms, others };
}

/** Returns the builder for a platform; undefined without one. */
export function builderFor(
  { platforms, others }: Builders,
  platform: Platform,
): Builder | undefined {
  return platforms.get(formatPlatform(platform)) ?? others;
}

/**
 * Parses the address of a builder. It can never be mistaken for an option: an address starts with
 * its scheme, and the name of a buildx builder with a letter or a digit.
 * @throws USAGE_INVALID
 */
export function parseBuilder(text: string): Builder {
  const name = /^buildx:([A-Za-z0-9][\w.-]*)$/.exec(text)?.[1];
  if (name !== undefined) return { program: 'docker', name };
  if (/^(tcp:\/\/[^\s/]+:\d+|unix:\/\/\/\S+|docker-container:\/\/[A-Za-z0-9][\w.-]*)$/.test(text))
    return { program: 'buildctl', address: text };
  throw new LktError('USAGE_INVALID', `"${text}" is not a builder address`, {
    fix: `write ${ADDRESS_FORMS}`,
  });
}
