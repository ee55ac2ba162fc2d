/** Reads a clean checkout without starting git. Loads nothing else. */
export { type CleanCheckout, findTopWithoutGit, readCleanCheckout } from './clean-checkout.ts';
export type { Environment } from './command.ts';
