import {
  choice,
  integer,
  list,
  optional,
  record,
  required,
  text,
  omitEmpty,
  type YamlType,
} from '@lkt/core';

/** A seccomp filter, with names and order of runtime-spec, config-linux.md, "Seccomp". */
export interface Seccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls?: readonly SyscallRule[];
}

interface SyscallRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SyscallArgument[];
}

interface SyscallArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

/** Without SCMP_ACT_NOTIFY: it needs a listener, and init has none. */
const ACTION = choice(
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_TRAP',
);

const ARCHITECTURE = choice(
  'SCMP_ARCH_X86',
  'SCMP_ARCH_X86_64',
  'SCMP_ARCH_X32',
  'SCMP_ARCH_ARM',
  'SCMP_ARCH_AARCH64',
  'SCMP_ARCH_RISCV64',
);

const FLAG = choice(
  'SECCOMP_FILTER_FLAG_LOG',
  'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
  'SECCOMP_FILTER_FLAG_TSYNC',
);

const COMPARISON = choice(
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
);

const ERRNO = integer(0, 4095);
const VALUE = integer(0);

const ARGUMENTS: YamlType<readonly SyscallArgument[]> = list(
  record({
    index: required(integer(0, 5), 'which argument, from 0'),
    value: required(VALUE, 'what it is compared with'),
    valueTwo: optional(VALUE, 'of SCMP_CMP_MASKED_EQ: what the masked value is compared with'),
    op: required(COMPARISON, 'how it is compared'),
  }),
);

const SYSCALLS: YamlType<readonly SyscallRule[]> = list(
  record({
    names: required(list(text(), { isFilled: true }), 'the system calls'),
    action: required(ACTION, 'what happens'),
    errnoRet: optional(ERRNO, 'of SCMP_ACT_ERRNO: the number of the error'),
    args: omitEmpty(ARGUMENTS, 'only when all of these are true'),
  }),
);

export const SECCOMP: YamlType<Seccomp> = record({
  defaultAction: required(ACTION, 'what happens with calls that no rule is about'),
  defaultErrnoRet: optional(ERRNO, 'of SCMP_ACT_ERRNO: the number of the error'),
  architectures: omitEmpty(list(ARCHITECTURE), 'those whose calls the rules are about'),
  flags: omitEmpty(list(FLAG), 'of the filter'),
  syscalls: omitEmpty(SYSCALLS, 'the rules'),
});
