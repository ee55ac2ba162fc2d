/** oclif's builders of flags and arguments, without the rest of oclif. */
export * as Args from '@oclif/core/args';
export * as Flags from '@oclif/core/flags';
