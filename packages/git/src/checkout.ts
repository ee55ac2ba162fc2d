/** Reads a clean checkout without starting git. Loads nothing else. */
export { type CleanCheckout, findPlainTop, readCleanCheckout } from './clean-checkout.ts';
export type { Environment } from './command.ts';
export { combineTrees } from './tree-id.ts';
