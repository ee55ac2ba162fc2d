import { type KernelRule, parseRules } from './rule.ts';

const MANDATORY = ['SELINUX', 'APPARMOR', 'SMACK', 'TOMOYO']
  .map((name) => `CONFIG_SECURITY_${name}=y and CONFIG_LSM has ${name.toLowerCase()}`)
  .join(' or ');

/** Rules for access control: lockdown, security modules, module signatures, process isolation. */
export const POLICY_RULES: readonly KernelRule[] = parseRules(
  'kconfig',
  `
kspp      | CONFIG_SECURITY=y | no security module would be available
kspp      | CONFIG_SECURITY_YAMA=y | a process could trace any other process of its user
kspp      | CONFIG_LSM has yama | the security module would be inactive | LSM/yama
kspp      | CONFIG_SECURITY_LANDLOCK=y | a program could not give up access to files
kspp      | CONFIG_LSM has landlock | the security module would be inactive | LSM/landlock
kspp      | CONFIG_SECURITY_LOCKDOWN_LSM=y | root could change the running kernel
kspp      | CONFIG_LSM has lockdown | the security module would be inactive | LSM/lockdown
kspp      | CONFIG_SECURITY_LOCKDOWN_LSM_EARLY=y | lockdown would start after the command line is applied
kspp      | CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y | the protection would be off by default
kspp      | CONFIG_SECURITY_DMESG_RESTRICT=y | any user could read kernel addresses from the log
kspp      | CONFIG_SECURITY_WRITABLE_HOOKS is not set | the hooks of security modules would be writable
kspp      | CONFIG_SECURITY_SELINUX_DISABLE is not set | SELinux could be turned off
kspp      | CONFIG_SECURITY_SELINUX_BOOTPARAM is not set | SELinux could be turned off on the command line
kspp      | CONFIG_SECURITY_SELINUX_DEVELOP is not set | SELinux could be switched to permissive mode
kspp      | CONFIG_SECURITY_SELINUX_DEBUG is not set | it exposes internal data of SELinux
clipos    | ${MANDATORY} | no security module would enforce a system-wide policy | LSM/mandatory
kspp      | CONFIG_SECCOMP=y | a program could not restrict its system calls
kspp      | CONFIG_SECCOMP_FILTER=y | a program could only restrict itself to four system calls
linux     | CONFIG_SECCOMP_CACHE_DEBUG is not set | it exposes the system calls that a program may make
kspp 6.12 | CONFIG_PROC_MEM_NO_FORCE=y | read-only process memory would be writable through /proc
clipos    | CONFIG_COREDUMP is not set | core dumps would write process memory to files
linux 6.8 | CONFIG_BLK_DEV_WRITE_MOUNTED is not set | a mounted disk could be written below its file system
kspp      | CONFIG_SYN_COOKIES=y | a flood of half-open connections would block others
kspp      | CONFIG_STATIC_USERMODEHELPER=y | a write to kernel memory could start any program
kspp      | CONFIG_MODULE_SIG=y or CONFIG_MODULES is not set | any module could be loaded
kspp      | CONFIG_MODULE_SIG_ALL=y or CONFIG_MODULES is not set | the build would not sign modules
kspp      | CONFIG_MODULE_SIG_FORCE=y or CONFIG_MODULES is not set | unsigned modules would load with only a warning
kspp      | CONFIG_MODULE_SIG_SHA512=y or CONFIG_MODULES is not set | signatures would use weaker hashes
linux     | CONFIG_TRIM_UNUSED_KSYMS=y or CONFIG_MODULES is not set | modules could call functions that no module needs
`,
);
