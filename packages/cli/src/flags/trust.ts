import { Flags } from './options.ts';

/** The flags of commands that verify signatures. */
export const trustFlags = {
  trust: Flags.string({
    summary: 'additional trust policy to satisfy, in the form of trust.yml; may be repeated',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'trusted-root': Flags.string({
    summary:
      'trusted_root.json of your Sigstore instance, for signing and for policies that name none (LKT_TRUSTED_ROOT)',
    helpValue: 'FILE',
  }),
};

export interface TrustFlags {
  readonly trust?: readonly string[] | undefined;
  readonly 'trusted-root'?: string | undefined;
}
