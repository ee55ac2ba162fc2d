import { type FlagValues, grouped, listFlag, valueFlag } from './options.ts';

/** The flags of commands that verify signatures. */
export const trustFlags = grouped('SIGNATURE', {
  trust: listFlag('FILE', 'additional trust policy, in the form of trust.yml'),
  'trusted-root': valueFlag(
    'FILE',
    'trusted_root.json for signing, and for policies that name none (LKT_TRUSTED_ROOT)',
  ),
});

export type TrustFlags = FlagValues<typeof trustFlags>;
