import type { ElfFacts } from './facts.ts';

/** A hardening rule for ELF files. */
export interface ElfRule {
  readonly id: 'pie' | 'nx' | 'wx' | 'relro' | 'bind-now' | 'rpath' | 'stack-protector';
  /** The risk if the rule does not hold. */
  readonly reason: string;
  /** Compiler or linker options that satisfy the rule. */
  readonly fix: string;
  /** Returns undefined if the rule does not apply to the file. */
  readonly holds: (facts: ElfFacts) => boolean | undefined;
}

/**
 * Rules for C and code linked with it, as in Debian's `hardening=+all` and the OpenSSF "Compiler
 * Options Hardening Guide for C and C++". Go and safe Rust check bounds, so they need no canaries;
 * all other rules apply to them.
 */
export const ELF_RULES: readonly ElfRule[] = [
  {
    id: 'pie',
    reason: 'it is loaded at a fixed address, which attackers know',
    fix: 'link with -pie (-static-pie if static), Go with -buildmode=pie',
    holds: ({ kind, pie }) => (kind === 'program' ? pie : undefined),
  },
  {
    id: 'nx',
    reason: 'its stack is executable',
    fix: 'link with -z noexecstack, and add to each assembly file: .section .note.GNU-stack,"",%progbits',
    holds: ({ kind, executableStack }) => (kind === 'object' ? undefined : !executableStack),
  },
  {
    id: 'wx',
    reason: 'it has memory that is writable and executable',
    fix: 'link without -N and --omagic, and without sections that are both',
    holds: ({ kind, writableCode }) => (kind === 'object' ? undefined : !writableCode),
  },
  {
    id: 'relro',
    reason: 'the addresses of functions that it calls can be overwritten',
    fix: 'link with -z relro',
    holds: ({ kind, relro }) => (kind === 'object' ? undefined : relro),
  },
  {
    id: 'bind-now',
    reason: 'functions are resolved on their first call, so their addresses stay writable',
    fix: 'link with -z now',
    holds: ({ lazyBinding, bindNow }) => (lazyBinding ? bindNow : undefined),
  },
  {
    id: 'rpath',
    reason: 'it names directories from which code is loaded',
    fix: 'link without -rpath, or run patchelf --remove-rpath',
    holds: ({ kind, rpath }) => (kind === 'object' ? undefined : rpath.length === 0),
  },
  {
    id: 'stack-protector',
    reason: 'a stack buffer overflow goes undetected',
    fix: 'compile with -fstack-protector-strong',
    holds: ({ kind, language, stackProtector }) =>
      kind === 'object' || language !== 'other' ? undefined : stackProtector,
  },
];
