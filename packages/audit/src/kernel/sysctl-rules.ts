import { type KernelRule, parseRules } from './rule.ts';

/** Rules for settings made during boot. */
export const SYSCTL_RULES: readonly KernelRule[] = parseRules(
  'sysctl',
  `
kspp        | kernel.kptr_restrict=2 | kernel addresses would be visible in /proc
kspp        | kernel.dmesg_restrict=1 | any user could read kernel addresses from the log
kspp        | kernel.perf_event_paranoid=3 | any user could profile other processes and the kernel
kspp        | kernel.randomize_va_space=2 | programs would load at fixed addresses
kspp        | kernel.yama.ptrace_scope=3 | a process could trace other processes
kspp        | kernel.unprivileged_bpf_disabled=1 or CONFIG_BPF_SYSCALL is not set | any user could load BPF programs
kspp        | net.core.bpf_jit_harden=2 or CONFIG_BPF_JIT is not set | constants of BPF programs could be used as code
kspp        | kernel.kexec_load_disabled=1 or CONFIG_KEXEC_CORE is not set | another kernel could replace this one
kspp        | kernel.modules_disabled=1 or CONFIG_MODULES is not set | code could be added to the running kernel
grsecurity  | kernel.io_uring_disabled=2 or CONFIG_IO_URING is not set | it is a frequent attack vector
clipos      | kernel.sysrq=0 or CONFIG_MAGIC_SYSRQ is not set | console keys would control the kernel
kspp        | vm.unprivileged_userfaultfd=0 or CONFIG_USERFAULTFD is not set | a process could pause the kernel between two steps
kspp        | user.max_user_namespaces=0 or CONFIG_USER_NS is not set | any user could reach code that only root could reach before
kspp        | dev.tty.ldisc_autoload=0 | any user could load modules of line disciplines
kspp        | dev.tty.legacy_tiocsti=0 | a process could inject input into another terminal
linux       | kernel.oops_limit=100 | an attack could be retried without limit
linux       | kernel.warn_limit=100 | an attack could be retried without limit
kspp        | vm.mmap_min_addr=65536 or CONFIG_DEFAULT_MMAP_MIN_ADDR=65536 | a user could map the page at address zero
kspp x86_64 | vm.mmap_rnd_bits=32 | program addresses would be easier to guess
kspp arm64  | vm.mmap_rnd_bits=33 or vm.mmap_rnd_bits=24 | program addresses would be easier to guess
kspp        | fs.protected_symlinks=1 | a symlink in /tmp could redirect a program
kspp        | fs.protected_hardlinks=1 | a user could keep another user’s file by a hard link
kspp        | fs.protected_fifos=2 | a FIFO in /tmp could replace a file that a program expects
kspp        | fs.protected_regular=2 | a file in /tmp could replace one that a program creates
kspp        | fs.suid_dumpable=0 | core dumps of privileged programs would expose their memory
cis         | net.ipv4.conf.all.accept_redirects=0 | a neighbour could redirect traffic to itself
cis         | net.ipv4.conf.default.accept_redirects=0 | a neighbour could redirect traffic to itself
cis         | net.ipv6.conf.all.accept_redirects=0 | a neighbour could redirect traffic to itself
cis         | net.ipv6.conf.default.accept_redirects=0 | a neighbour could redirect traffic to itself
cis         | net.ipv4.conf.all.secure_redirects=0 | a neighbour could redirect traffic to itself
cis         | net.ipv4.conf.default.secure_redirects=0 | a neighbour could redirect traffic to itself
cis         | net.ipv4.conf.all.send_redirects=0 | a host would act as a router
cis         | net.ipv4.conf.default.send_redirects=0 | a host would act as a router
cis         | net.ipv4.conf.all.accept_source_route=0 | a sender could route its packets past filters
cis         | net.ipv4.conf.default.accept_source_route=0 | a sender could route its packets past filters
cis         | net.ipv6.conf.all.accept_source_route=0 | a sender could route its packets past filters
cis         | net.ipv6.conf.default.accept_source_route=0 | a sender could route its packets past filters
cis         | net.ipv4.conf.all.rp_filter=1 | a sender could spoof addresses of another interface
cis         | net.ipv4.conf.default.rp_filter=1 | a sender could spoof addresses of another interface
cis         | net.ipv4.icmp_echo_ignore_broadcasts=1 | every host would answer one broadcast packet
cis         | net.ipv4.icmp_ignore_bogus_error_responses=1 | remote hosts could fill the log
cis         | net.ipv4.tcp_syncookies=1 | a flood of half-open connections would block others
`,
);
