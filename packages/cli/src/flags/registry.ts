import { Flags } from './options.ts';
import { trustFlags } from './trust.ts';

/** The flags of commands that access registries, named as in LinuxKit and Docker. */
export const registryFlags = {
  'cert-file': Flags.string({
    summary: 'certificates of additional authorities for registries, in PEM form; may be repeated',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'insecure-registry': Flags.string({
    summary: 'registry to access over plain HTTP, without a password; may be repeated',
    helpValue: 'HOST[:PORT]',
    multiple: true,
    multipleNonGreedy: true,
  }),
  mirror: Flags.string({
    summary:
      'mirror to ask first for blobs of REGISTRY by digest; without REGISTRY, for all registries; may be repeated',
    helpValue: '[REGISTRY=]URL',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** The flags of commands that pull missing images after a policy check. */
export const pullFlags = {
  ...registryFlags,
  ...trustFlags,
  offline: Flags.boolean({ summary: 'pull nothing: use only images in the store' }),
};

export interface RegistryFlags {
  readonly 'cert-file'?: readonly string[] | undefined;
  readonly 'insecure-registry'?: readonly string[] | undefined;
  readonly mirror?: readonly string[] | undefined;
}
