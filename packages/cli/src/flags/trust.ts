import { choiceFlag, type FlagValues, grouped, listFlag, valueFlag } from './options.ts';

/** The flags of commands that verify signatures. */
export const trustFlags = grouped('SIGNATURE', {
  trust: listFlag('FILE', 'additional policy, in the form of trust.yml'),
  'trusted-root': valueFlag('FILE', 'trusted_root.json (LKT_TRUSTED_ROOT)'),
});

export type TrustFlags = FlagValues<typeof trustFlags>;

/** The flag of commands that need a policy in CI. */
export const policyFoundFlag = grouped('SIGNATURE', {
  'no-policy-found': choiceFlag(
    ['error', 'ignore'],
    'without a trust policy; default: error if CI=true',
  ),
});
