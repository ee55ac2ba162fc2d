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
    index: required(integer(0, 5), 'index of the argument, from 0'),
    value: required(VALUE, 'value to compare with'),
    valueTwo: optional(VALUE, 'value to compare the masked argument with, for SCMP_CMP_MASKED_EQ'),
    op: required(COMPARISON, 'comparison operator'),
  }),
);

const SYSCALLS: YamlType<readonly SyscallRule[]> = list(
  record({
    names: required(list(text(), { isFilled: true }), 'names of system calls'),
    action: required(ACTION, 'action of the filter'),
    errnoRet: optional(ERRNO, 'error number, for SCMP_ACT_ERRNO'),
    args: omitEmpty(ARGUMENTS, 'conditions on the arguments, all of which must hold'),
  }),
);

export const SECCOMP: YamlType<Seccomp> = record({
  defaultAction: required(ACTION, 'action for system calls without a rule'),
  defaultErrnoRet: optional(ERRNO, 'error number, for SCMP_ACT_ERRNO'),
  architectures: omitEmpty(list(ARCHITECTURE), 'architectures that the rules apply to'),
  flags: omitEmpty(list(FLAG), 'flags of the filter'),
  syscalls: omitEmpty(SYSCALLS, 'rules for system calls'),
});
