import { grouped, requiredArgs, switchFlag, valueFlag } from './options.ts';
import { platformFlag } from './platform.ts';

/** The flags of commands that audit images. */
export const auditFlags = {
  ...platformFlag,
  waivers: valueFlag('FILE', 'waiver file; default: .audit.yml at the top of the checkout'),
};

/** The argument of commands that audit images. */
export const auditArgs = {
  target: requiredArgs('a reference in the store, a package directory or an image config'),
};

export const shellFlag = {
  'no-shell': switchFlag('report shells as findings'),
};

/** The audit flags of `lkt build`. */
export const buildAuditFlags = grouped('AUDIT', {
  audit: switchFlag('audit the images (docs/audit.md); on by default', {
    allowNo: true,
    default: true,
  }),
  strict: switchFlag('write nothing if a finding is not waived'),
});
