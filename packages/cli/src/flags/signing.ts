import { type FlagValues, grouped, switchFlag, valueFlag } from './options.ts';
import { trustFlags } from './trust.ts';

/** The flags of commands that always sign. */
export const signingFlags = grouped('SIGNATURE', {
  'fulcio-url': valueFlag(
    'URL',
    'certificate authority of your Sigstore instance (LKT_FULCIO_URL)',
  ),
  key: valueFlag(
    'FILE',
    'signing key: cosign.key, a PEM file or env://NAME; default: the identity token of the CI job or SIGSTORE_ID_TOKEN',
  ),
  'rekor-url': valueFlag(
    'URL',
    'transparency log of your Sigstore instance (LKT_REKOR_URL); default with --key: none',
  ),
  'signing-config': valueFlag(
    'FILE',
    'signing_config.json of your Sigstore instance, instead of the URLs (LKT_SIGNING_CONFIG); default without --key: the one beside the trusted root',
  ),
  'tsa-url': valueFlag('URL', 'timestamp authority (LKT_TSA_URL)', {
    aliases: ['timestamp-server-url'],
  }),
  'trusted-root': trustFlags['trusted-root'],
});

/** The flags of commands that sign with `--sign`. */
export const signFlags = {
  sign: switchFlag('sign the pushed images (docs/registries.md)'),
  ...signingFlags,
};

export type SignFlags = FlagValues<typeof signFlags>;
