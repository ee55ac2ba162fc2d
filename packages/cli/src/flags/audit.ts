import { requiredArgs, switchFlag, valueFlag } from './options.ts';

/** The flags of commands that audit images. */
export const auditFlags = {
  platform: valueFlag('linux/ARCH', 'platform to inspect in a multi-platform image', {
    default: 'linux/amd64',
  }),
  waivers: valueFlag('FILE', 'waiver file; default: .audit.yml at the top of the checkout'),
};

/** The argument of commands that audit images. */
export const auditArgs = {
  target: requiredArgs('a reference in the store, a package directory or an image config'),
};

export const shellFlag = {
  'no-shell': switchFlag('report shells as findings too'),
};

/** The audit flags of `lkt build`. */
export const buildAuditFlags = {
  audit: switchFlag('audit the images for unhardened programs and unwanted files; on by default', {
    allowNo: true,
    default: true,
  }),
  strict: switchFlag('write nothing if the audit has findings that .audit.yml does not waive'),
};
