import { LktError } from '@lkt/core';

/** The fields of a platform that select an image (OCI image-spec, image-index.md, "platform"). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const PART = /^[a-z0-9][a-z0-9_.-]*$/;

/**
 * Parses `os/architecture[/variant]`, such as `linux/amd64`. `linux/arm64/v8` equals `linux/arm64`.
 * @throws CONFIG_INVALID
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [os, architecture, variant] = parts;
  if (
    os === undefined ||
    architecture === undefined ||
    parts.length > 3 ||
    !parts.every((part) => PART.test(part))
  ) {
    throw new LktError('CONFIG_INVALID', `"${text}" is not a platform`, {
      fix: 'write it as os/architecture, such as linux/amd64',
    });
  }
  return normalPlatform({ os, architecture, variant });
}

/** Returns `os/architecture[/variant]`, without the default variant. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = normalPlatform(platform);
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/**
 * Reports whether an image for `available` runs on `wanted`. Without a variant, `wanted` accepts
 * any.
 */
export function platformMatches(available: Platform, wanted: Platform): boolean {
  const a = normalPlatform(available);
  const b = normalPlatform(wanted);
  return (
    a.os === b.os &&
    a.architecture === b.architecture &&
    (b.variant === undefined || a.variant === b.variant)
  );
}

/** Returns the platform of an image config or descriptor. Go writes a missing variant as `''`. */
export function platformOf({ os, architecture, variant }: Platform): Platform {
  return { os, architecture, variant: variant === '' ? undefined : variant };
}

function normalPlatform({ os, architecture, variant }: Platform): Platform {
  const implied =
    variant === undefined || variant === '' || (architecture === 'arm64' && variant === 'v8');
  return implied ? { os, architecture } : { os, architecture, variant };
}
