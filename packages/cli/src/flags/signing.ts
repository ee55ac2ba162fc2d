import { Flags } from './options.ts';
import { trustFlags } from './trust.ts';

/** What every command accepts that signs. */
export const signingFlags = {
  'fulcio-url': Flags.string({
    summary: 'the certificate authority of your Sigstore instance (LKT_FULCIO_URL)',
    helpValue: 'URL',
  }),
  key: Flags.string({
    summary:
      'sign with this key: cosign.key, a key in PEM form, or env://NAME. Without it, as whoever the identity token of the CI job or in SIGSTORE_ID_TOKEN names',
    helpValue: 'FILE',
  }),
  'rekor-url': Flags.string({
    summary:
      'the transparency log of your Sigstore instance (LKT_REKOR_URL); with --key there is none otherwise',
    helpValue: 'URL',
  }),
  'tsa-url': Flags.string({
    summary: 'an authority that says when it was signed (LKT_TSA_URL)',
    helpValue: 'URL',
    aliases: ['timestamp-server-url'],
  }),
  'trusted-root': trustFlags['trusted-root'],
};

/** What commands accept that sign when they are asked to. */
export const signFlags = {
  sign: Flags.boolean({ summary: 'sign what is pushed: docs/registries.md says how' }),
  ...signingFlags,
};

export interface SigningFlags {
  readonly 'fulcio-url'?: string | undefined;
  readonly key?: string | undefined;
  readonly 'rekor-url'?: string | undefined;
  readonly 'trusted-root'?: string | undefined;
  readonly 'tsa-url'?: string | undefined;
}
