import { Flags } from './options.ts';
import { trustFlags } from './trust.ts';

/** What every command accepts that speaks to registries; the names are LinuxKit's and Docker's. */
export const registryFlags = {
  'cert-file': Flags.string({
    summary: 'certificates of more authorities that may vouch for registries; may be repeated',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'insecure-registry': Flags.string({
    summary: 'this registry may be spoken to in http, without a password; may be repeated',
    helpValue: 'HOST[:PORT]',
    multiple: true,
    multipleNonGreedy: true,
  }),
  mirror: Flags.string({
    summary:
      'ask this address first for what REGISTRY has, by digest; without REGISTRY for all; may be repeated',
    helpValue: '[REGISTRY=]URL',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** What commands accept that pull what is missing, if it may be used. */
export const pullFlags = {
  ...registryFlags,
  ...trustFlags,
  offline: Flags.boolean({ summary: 'pull nothing: what is named must be in the store' }),
};

export interface RegistryFlags {
  readonly 'cert-file'?: readonly string[] | undefined;
  readonly 'insecure-registry'?: readonly string[] | undefined;
  readonly mirror?: readonly string[] | undefined;
}
