import { Args, Flags } from './options.ts';

/** The flags of commands that audit images. */
export const auditFlags = {
  platform: Flags.string({
    summary: 'platform to inspect in a multi-platform image',
    helpValue: 'linux/ARCH',
    default: 'linux/amd64',
  }),
  waivers: Flags.string({
    summary: 'waiver file; default: .audit.yml at the top of the checkout',
    helpValue: 'FILE',
  }),
};

/** The argument of commands that audit images. */
export const auditArgs = {
  target: Args.string({
    description: 'a reference in the store, a package directory or an image config',
    required: true,
    multiple: true,
  }),
};

export const shellFlag = {
  'no-shell': Flags.boolean({ summary: 'report shells as findings too' }),
};

/** The audit flags of `lkt build`. */
export const buildAuditFlags = {
  audit: Flags.boolean({
    summary: 'audit the images for unhardened programs and unwanted files; on by default',
    allowNo: true,
    default: true,
  }),
  strict: Flags.boolean({
    summary: 'write nothing if the audit has findings that .audit.yml does not waive',
  }),
};
