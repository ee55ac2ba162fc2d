/** oclif's definitions of flags and arguments, without loading the rest of oclif. */
export * as Args from '@oclif/core/args';
export * as Flags from '@oclif/core/flags';
