import { type FlagValues, listFlag, valueFlag } from './options.ts';

/** The flags of commands that verify signatures. */
export const trustFlags = {
  trust: listFlag(
    'FILE',
    'additional trust policy to satisfy, in the form of trust.yml; may be repeated',
  ),
  'trusted-root': valueFlag(
    'FILE',
    'trusted_root.json of your Sigstore instance, for signing and for policies that name none (LKT_TRUSTED_ROOT)',
  ),
};

export type TrustFlags = FlagValues<typeof trustFlags>;
