import { Args, Flags } from './options.ts';

/** What every command that looks into images accepts. */
export const auditFlags = {
  platform: Flags.string({
    summary: 'of an image for several, look into that for this one',
    helpValue: 'linux/ARCH',
    default: 'linux/amd64',
  }),
  waivers: Flags.string({
    summary: 'what is let pass, and why; by default .audit.yml at the top of the checkout',
    helpValue: 'FILE',
  }),
};

/** What images are named by. */
export const auditArgs = {
  target: Args.string({
    description: 'a reference of the store, the directory of a package, or an image config',
    required: true,
    multiple: true,
  }),
};

export const shellFlag = {
  'no-shell': Flags.boolean({ summary: 'a shell is not allowed either' }),
};

/** What `lkt build` accepts about audits. */
export const buildAuditFlags = {
  audit: Flags.boolean({
    summary:
      'look for programs without hardening, and for what should not be in an image; the default',
    allowNo: true,
    default: true,
  }),
  strict: Flags.boolean({
    summary: 'write nothing if that finds something which .audit.yml does not let pass',
  }),
};
