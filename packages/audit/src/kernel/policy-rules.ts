import { type Condition, config, type KernelRule, off, on, rule } from './rule.ts';

const NO_MODULES = config('MODULES', 'n');
const lsm = (name: string, reason: string): KernelRule =>
  rule('kconfig', `LSM/${name}`, { config: 'LSM', has: name }, reason, 'kspp');
const MANDATORY = ['SELINUX', 'APPARMOR', 'SMACK', 'TOMOYO'];

/**
 * Rules for access control: lockdown, security modules, module signatures, and isolation of
 * processes.
 */
export const POLICY_RULES: readonly KernelRule[] = [
  on('SECURITY', 'no security module would be available', 'kspp'),
  on('SECURITY_YAMA', 'a process could trace any other process of its user', 'kspp'),
  lsm('yama', 'the security module would be inactive'),
  on('SECURITY_LANDLOCK', 'a program could not give up access to files', 'kspp'),
  lsm('landlock', 'the security module would be inactive'),
  on('SECURITY_LOCKDOWN_LSM', 'root could change the running kernel', 'kspp'),
  lsm('lockdown', 'the security module would be inactive'),
  on(
    'SECURITY_LOCKDOWN_LSM_EARLY',
    'lockdown would start after the command line is applied',
    'kspp',
  ),
  on('LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY', 'the protection would be off by default', 'kspp'),
  on('SECURITY_DMESG_RESTRICT', 'any user could read kernel addresses from the log', 'kspp'),
  off('SECURITY_WRITABLE_HOOKS', 'the hooks of security modules would be writable', 'kspp'),
  off('SECURITY_SELINUX_DISABLE', 'SELinux could be turned off', 'kspp'),
  off('SECURITY_SELINUX_BOOTPARAM', 'SELinux could be turned off on the command line', 'kspp'),
  off('SECURITY_SELINUX_DEVELOP', 'SELinux could be switched to permissive mode', 'kspp'),
  off('SECURITY_SELINUX_DEBUG', 'it exposes internal data of SELinux', 'kspp'),
  rule(
    'kconfig',
    'LSM/mandatory',
    mandatory(),
    'no security module would enforce a system-wide policy',
    'clipos',
  ),
  on('SECCOMP', 'a program could not restrict its system calls', 'kspp'),
  on('SECCOMP_FILTER', 'a program could only restrict itself to four system calls', 'kspp'),
  off('SECCOMP_CACHE_DEBUG', 'it exposes the system calls that a program may make', 'linux'),
  on('PROC_MEM_NO_FORCE', 'read-only process memory would be writable through /proc', 'kspp', {
    since: [6, 12],
  }),
  off('COREDUMP', 'core dumps would write process memory to files', 'clipos'),
  off('BLK_DEV_WRITE_MOUNTED', 'a mounted disk could be written below its file system', 'linux', {
    since: [6, 8],
  }),
  on('SYN_COOKIES', 'a flood of half-open connections would block others', 'kspp'),
  on('STATIC_USERMODEHELPER', 'a write to kernel memory could start any program', 'kspp'),
  on('MODULE_SIG', 'any module could be loaded', 'kspp', { or: [NO_MODULES] }),
  on('MODULE_SIG_ALL', 'the build would not sign modules', 'kspp', { or: [NO_MODULES] }),
  on('MODULE_SIG_FORCE', 'unsigned modules would load with only a warning', 'kspp', {
    or: [NO_MODULES],
  }),
  on('MODULE_SIG_SHA512', 'signatures would use weaker hashes', 'kspp', { or: [NO_MODULES] }),
  on('TRIM_UNUSED_KSYMS', 'modules could call functions that no module needs', 'linux', {
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
