import {
  type Condition,
  config,
  type KernelRule,
  armOnly,
  x86Only,
  rule,
  type RuleSource,
} from './rule.ts';

type More = Parameters<typeof rule>[5];

function set(
  key: string,
  value: string,
  reason: string,
  source: RuleSource,
  or: readonly Condition[] = [],
  more: More = {},
): KernelRule {
  return rule(
    'sysctl',
    key,
    { sysctl: key, is: value },
    reason,
    source,
    or.length === 0 ? more : { ...more, or },
  );
}

/** Returns rules for all present and future interfaces. */
function network(
  family: 'ipv4' | 'ipv6',
  key: string,
  value: string,
  reason: string,
): readonly KernelRule[] {
  return ['all', 'default'].map((scope) =>
    set(`net.${family}.conf.${scope}.${key}`, value, reason, 'cis'),
  );
}

const REDIRECTS = 'a neighbour could redirect traffic to itself';
const ROUTES = 'a sender could route its packets past filters';

/** Rules for settings made during boot. */
export const SYSCTL_RULES: readonly KernelRule[] = [
  set('kernel.kptr_restrict', '2', 'kernel addresses would be visible in /proc', 'kspp'),
  set('kernel.dmesg_restrict', '1', 'any user could read kernel addresses from the log', 'kspp'),
  set(
    'kernel.perf_event_paranoid',
    '3',
    'any user could profile other processes and the kernel',
    'kspp',
  ),
  set('kernel.randomize_va_space', '2', 'programs would load at fixed addresses', 'kspp'),
  set('kernel.yama.ptrace_scope', '3', 'a process could trace other processes', 'kspp'),
  set('kernel.unprivileged_bpf_disabled', '1', 'any user could load BPF programs', 'kspp', [
    config('BPF_SYSCALL', 'n'),
  ]),
  set('net.core.bpf_jit_harden', '2', 'constants of BPF programs could be used as code', 'kspp', [
    config('BPF_JIT', 'n'),
  ]),
  set('kernel.kexec_load_disabled', '1', 'another kernel could replace this one', 'kspp', [
    config('KEXEC_CORE', 'n'),
  ]),
  set('kernel.modules_disabled', '1', 'code could be added to the running kernel', 'kspp', [
    config('MODULES', 'n'),
  ]),
  set('kernel.io_uring_disabled', '2', 'it is a frequent attack vector', 'grsecurity', [
    config('IO_URING', 'n'),
  ]),
  set('kernel.sysrq', '0', 'console keys would control the kernel', 'clipos', [
    config('MAGIC_SYSRQ', 'n'),
  ]),
  set(
    'vm.unprivileged_userfaultfd',
    '0',
    'a process could pause the kernel between two steps',
    'kspp',
    [config('USERFAULTFD', 'n')],
  ),
  set(
    'user.max_user_namespaces',
    '0',
    'any user could reach code that only root could reach before',
    'kspp',
    [config('USER_NS', 'n')],
  ),
  set('dev.tty.ldisc_autoload', '0', 'any user could load modules of line disciplines', 'kspp'),
  set('dev.tty.legacy_tiocsti', '0', 'a process could inject input into another terminal', 'kspp'),
  set('kernel.oops_limit', '100', 'an attack could be retried without limit', 'linux'),
  set('kernel.warn_limit', '100', 'an attack could be retried without limit', 'linux'),
  set('vm.mmap_min_addr', '65536', 'a user could map the page at address zero', 'kspp', [
    config('DEFAULT_MMAP_MIN_ADDR', '65536'),
  ]),
  set('vm.mmap_rnd_bits', '32', 'program addresses would be easier to guess', 'kspp', [], x86Only),
  set(
    'vm.mmap_rnd_bits',
    '33',
    'program addresses would be easier to guess',
    'kspp',
    [{ sysctl: 'vm.mmap_rnd_bits', is: '24' }],
    armOnly,
  ),
  set('fs.protected_symlinks', '1', 'a symlink in /tmp could redirect a program', 'kspp'),
  set(
    'fs.protected_hardlinks',
    '1',
    'a user could keep another user’s file by a hard link',
    'kspp',
  ),
  set(
    'fs.protected_fifos',
    '2',
    'a FIFO in /tmp could replace a file that a program expects',
    'kspp',
  ),
  set(
    'fs.protected_regular',
    '2',
    'a file in /tmp could replace one that a program creates',
    'kspp',
  ),
  set(
    'fs.suid_dumpable',
    '0',
    'core dumps of privileged programs would expose their memory',
    'kspp',
  ),
  ...network('ipv4', 'accept_redirects', '0', REDIRECTS),
  ...network('ipv6', 'accept_redirects', '0', REDIRECTS),
  ...network('ipv4', 'secure_redirects', '0', REDIRECTS),
  ...network('ipv4', 'send_redirects', '0', 'a host would act as a router'),
  ...network('ipv4', 'accept_source_route', '0', ROUTES),
  ...network('ipv6', 'accept_source_route', '0', ROUTES),
  ...network('ipv4', 'rp_filter', '1', 'a sender could spoof addresses of another interface'),
  set(
    'net.ipv4.icmp_echo_ignore_broadcasts',
    '1',
    'every host would answer one broadcast packet',
    'cis',
  ),
  set('net.ipv4.icmp_ignore_bogus_error_responses', '1', 'remote hosts could fill the log', 'cis'),
  set('net.ipv4.tcp_syncookies', '1', 'a flood of half-open connections would block others', 'cis'),
];
