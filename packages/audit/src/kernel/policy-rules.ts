import { type Condition, config, type KernelRule, off, on, rule } from './rule.ts';

const NO_MODULES = config('MODULES', 'n');
const lsm = (name: string, reason: string): KernelRule =>
  rule('kconfig', `LSM/${name}`, { config: 'LSM', has: name }, reason, 'kspp');
const MANDATORY = ['SELINUX', 'APPARMOR', 'SMACK', 'TOMOYO'];

/** Who may do what: lockdown, security modules, signatures of modules, and what processes may do to each other. */
export const POLICY_RULES: readonly KernelRule[] = [
  on('SECURITY', 'there would be no security modules', 'kspp'),
  on('SECURITY_YAMA', 'a process could look into any other of its user', 'kspp'),
  lsm('yama', 'it would not be used'),
  on('SECURITY_LANDLOCK', 'a program could not give up files that it does not need', 'kspp'),
  lsm('landlock', 'it would not be used'),
  on('SECURITY_LOCKDOWN_LSM', 'root could change the running kernel', 'kspp'),
  lsm('lockdown', 'it would not be used'),
  on('SECURITY_LOCKDOWN_LSM_EARLY', 'it would begin after the command line was obeyed', 'kspp'),
  on('LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY', 'it would have to be asked for', 'kspp'),
  on('SECURITY_DMESG_RESTRICT', 'everybody could read addresses from the log', 'kspp'),
  off('SECURITY_WRITABLE_HOOKS', 'what security modules decide by could be written', 'kspp'),
  off('SECURITY_SELINUX_DISABLE', 'SELinux could be turned off', 'kspp'),
  off('SECURITY_SELINUX_BOOTPARAM', 'SELinux could be turned off by the command line', 'kspp'),
  off('SECURITY_SELINUX_DEVELOP', 'SELinux could be told to forbid nothing', 'kspp'),
  off('SECURITY_SELINUX_DEBUG', 'it shows what only SELinux should know', 'kspp'),
  rule(
    'kconfig',
    'LSM/mandatory',
    mandatory(),
    'no module could hold a policy for the whole system',
    'clipos',
  ),
  on('SECCOMP', 'a program could not give up system calls', 'kspp'),
  on('SECCOMP_FILTER', 'a program could give up all but four', 'kspp'),
  off('SECCOMP_CACHE_DEBUG', 'it shows which system calls a program may do', 'linux'),
  on('PROC_MEM_NO_FORCE', 'read-only memory of a process could be written through /proc', 'kspp', {
    since: [6, 12],
  }),
  off('COREDUMP', 'what a process knew would be in a file when it fails', 'clipos'),
  off('BLK_DEV_WRITE_MOUNTED', 'a disk could be changed below its file system', 'linux', {
    since: [6, 8],
  }),
  on('SYN_COOKIES', 'a flood of half-open connections would leave no room for others', 'kspp'),
  on(
    'STATIC_USERMODEHELPER',
    'who can write to the kernel’s memory could have it start any program',
    'kspp',
  ),
  on('MODULE_SIG', 'any module could be loaded', 'kspp', { or: [NO_MODULES] }),
  on('MODULE_SIG_ALL', 'modules would be signed by hand, or not', 'kspp', { or: [NO_MODULES] }),
  on('MODULE_SIG_FORCE', 'a module without signature would be loaded with a message', 'kspp', {
    or: [NO_MODULES],
  }),
  on('MODULE_SIG_SHA512', 'signatures would be over weaker sums', 'kspp', { or: [NO_MODULES] }),
  on('TRIM_UNUSED_KSYMS', 'modules could call what none of them needs', 'linux', {
    or: [NO_MODULES],
  }),
];

function mandatory(): Condition {
  return {
    any: MANDATORY.map((name) => ({
      all: [config(`SECURITY_${name}`, 'y'), { config: 'LSM', has: name.toLowerCase() }],
    })),
  };
}
