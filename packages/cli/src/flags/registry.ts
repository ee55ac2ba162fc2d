import { type FlagValues, listFlag, switchFlag } from './options.ts';
import { trustFlags } from './trust.ts';

/** The flags of commands that access registries, named as in LinuxKit and Docker. */
export const registryFlags = {
  'cert-file': listFlag(
    'FILE',
    'certificates of additional authorities for registries, in PEM form; may be repeated',
  ),
  'insecure-registry': listFlag(
    'HOST[:PORT]',
    'registry to access over plain HTTP, without a password; may be repeated',
  ),
  mirror: listFlag(
    '[REGISTRY=]URL',
    'mirror to ask first for blobs of REGISTRY by digest; without REGISTRY, for all registries; may be repeated',
  ),
};

/** The flags of commands that pull missing images after a policy check. */
export const pullFlags = {
  ...registryFlags,
  ...trustFlags,
  offline: switchFlag('pull nothing: use only images in the store'),
};

/** The flag of `lkt cache clean`, named as in LinuxKit. */
export const publishedOnly = {
  'published-only': switchFlag(
    'remove only images that their registries have too, with the same digest',
  ),
};

export type RegistryFlags = FlagValues<typeof registryFlags>;
export type PullFlags = FlagValues<typeof pullFlags>;
