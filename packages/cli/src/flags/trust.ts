import { Flags } from './options.ts';

/** What every command accepts that believes signatures. */
export const trustFlags = {
  trust: Flags.string({
    summary:
      'a trust policy, in the form of trust.yml, that has to be satisfied too; may be repeated',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'trusted-root': Flags.string({
    summary:
      'the trusted_root.json of your Sigstore instance, for signatures that are made, and policies that name none (LKT_TRUSTED_ROOT)',
    helpValue: 'FILE',
  }),
};

export interface TrustFlags {
  readonly trust?: readonly string[] | undefined;
  readonly 'trusted-root'?: string | undefined;
}
