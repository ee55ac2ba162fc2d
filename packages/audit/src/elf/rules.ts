import type { ElfFacts } from './facts.ts';

/** What an ELF file has to be. */
export interface ElfRule {
  readonly id: 'pie' | 'nx' | 'wx' | 'relro' | 'bind-now' | 'rpath' | 'stack-protector';
  /** What goes wrong where it does not hold. */
  readonly reason: string;
  /** What to tell the compiler or linker. */
  readonly fix: string;
  /** Undefined where the rule is not about such a file. */
  readonly holds: (facts: ElfFacts) => boolean | undefined;
}

/**
 * For C and what links with it, as Debian's `hardening=+all` and the OpenSSF "Compiler Options Hardening Guide for C and
 * C++" ask. Go and safe Rust check bounds, so they need no canaries; all else is asked of them too.
 */
export const ELF_RULES: readonly ElfRule[] = [
  {
    id: 'pie',
    reason: 'it is always loaded at the same address, which who attacks it then knows',
    fix: 'link with -pie (-static-pie where it stands alone), Go with -buildmode=pie',
    holds: ({ kind, pie }) => (kind === 'program' ? pie : undefined),
  },
  {
    id: 'nx',
    reason: 'what is written to its stack can be run',
    fix: 'link with -z noexecstack, and say so in each file of assembly: .section .note.GNU-stack,"",%progbits',
    holds: ({ kind, executableStack }) => (kind === 'object' ? undefined : !executableStack),
  },
  {
    id: 'wx',
    reason: 'it has memory that can be written and run',
    fix: 'link without -N or --omagic, and with no section that is both',
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
    reason: 'functions are found when they are first called, so their addresses stay writable',
    fix: 'link with -z now',
    holds: ({ lazyBinding, bindNow }) => (lazyBinding ? bindNow : undefined),
  },
  {
    id: 'rpath',
    reason: 'it names directories from which code is loaded',
    fix: 'link without -rpath, or take it away: patchelf --remove-rpath',
    holds: ({ kind, rpath }) => (kind === 'object' ? undefined : rpath.length === 0),
  },
  {
    id: 'stack-protector',
    reason: 'a buffer on the stack that overflows is not noticed',
    fix: 'compile with -fstack-protector-strong',
    holds: ({ kind, language, stackProtector }) =>
      kind === 'object' || language !== 'other' ? undefined : stackProtector,
  },
];
