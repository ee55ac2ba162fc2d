import { CAPABILITIES } from '../sandbox/sandbox.ts';
import { seccompFilter } from './profile.ts';

/**
 * The system call filter of every sandbox on this machine, in base64; undefined without a profile.
 * Computing it takes 14 ms, so a bundle has the value.
 */
export const filterText: string | undefined = seccompFilter(process.arch, CAPABILITIES)?.toString(
  'base64',
);
