import { type FlagValues, grouped, listFlag, switchFlag } from './options.ts';
import { trustFlags } from './trust.ts';

/** The flags of commands that access registries, named as in LinuxKit and Docker. */
export const registryFlags = grouped('REGISTRY', {
  'cert-file': listFlag('FILE', 'more certificate authorities (PEM)'),
  'insecure-registry': listFlag('HOST[:PORT]', 'registry over plain HTTP, no password'),
  mirror: listFlag('[REGISTRY=]URL', 'mirror to ask first for digests'),
});

/** The flag of commands that work without a network if the store suffices. */
export const offlineFlag = grouped('REGISTRY', {
  offline: switchFlag('contact no registry: use only the store'),
});

/** The flags of commands that pull missing images after a policy check. */
export const pullFlags = {
  ...registryFlags,
  ...trustFlags,
  ...offlineFlag,
};

/** The flag of `lkt cache clean`, named as in LinuxKit. */
export const publishedOnly = {
  'published-only': switchFlag(
    'remove only images that their registries have with the same digest',
  ),
};

export type RegistryFlags = FlagValues<typeof registryFlags>;
export type PullFlags = FlagValues<typeof pullFlags>;
