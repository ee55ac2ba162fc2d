import {
  type Condition,
  config,
  type KernelRule,
  onArm,
  onX86,
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

/** The same for all interfaces that there are, and for those to come. */
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

const REDIRECTS = 'a neighbour could draw the traffic to itself';
const ROUTES = 'a sender could choose the way of its packets, past filters';

/** What is set while a machine starts. */
export const SYSCTL_RULES: readonly KernelRule[] = [
  set('kernel.kptr_restrict', '2', 'addresses of the kernel would be in /proc', 'kspp'),
  set('kernel.dmesg_restrict', '1', 'everybody could read addresses from the log', 'kspp'),
  set(
    'kernel.perf_event_paranoid',
    '3',
    'everybody could measure what others and the kernel do',
    'kspp',
  ),
  set('kernel.randomize_va_space', '2', 'programs would always be at the same addresses', 'kspp'),
  set('kernel.yama.ptrace_scope', '3', 'a process could look into others', 'kspp'),
  set('kernel.unprivileged_bpf_disabled', '1', 'everybody could load programs of BPF', 'kspp', [
    config('BPF_SYSCALL', 'n'),
  ]),
  set('net.core.bpf_jit_harden', '2', 'constants of a program of BPF could be code', 'kspp', [
    config('BPF_JIT', 'n'),
  ]),
  set(
    'kernel.kexec_load_disabled',
    '1',
    'another kernel could take the place of this one',
    'kspp',
    [config('KEXEC_CORE', 'n')],
  ),
  set('kernel.modules_disabled', '1', 'code could be put into the running kernel', 'kspp', [
    config('MODULES', 'n'),
  ]),
  set('kernel.io_uring_disabled', '2', 'it has been the way in', 'grsecurity', [
    config('IO_URING', 'n'),
  ]),
  set('kernel.sysrq', '0', 'keys on the console would give orders to the kernel', 'clipos', [
    config('MAGIC_SYSRQ', 'n'),
  ]),
  set(
    'vm.unprivileged_userfaultfd',
    '0',
    'a process could hold the kernel between two steps',
    'kspp',
    [config('USERFAULTFD', 'n')],
  ),
  set(
    'user.max_user_namespaces',
    '0',
    'everybody would be root somewhere, and meet code that only root met before',
    'kspp',
    [config('USER_NS', 'n')],
  ),
  set('dev.tty.ldisc_autoload', '0', 'anybody could have modules for old terminals loaded', 'kspp'),
  set('dev.tty.legacy_tiocsti', '0', 'a process could type into the terminal of another', 'kspp'),
  set('kernel.oops_limit', '100', 'an attack could try as often as it takes', 'linux'),
  set('kernel.warn_limit', '100', 'an attack could try as often as it takes', 'linux'),
  set('vm.mmap_min_addr', '65536', 'a user’s page could stand where a null pointer leads', 'kspp', [
    config('DEFAULT_MMAP_MIN_ADDR', '65536'),
  ]),
  set('vm.mmap_rnd_bits', '32', 'where programs are could be guessed sooner', 'kspp', [], onX86),
  set(
    'vm.mmap_rnd_bits',
    '33',
    'where programs are could be guessed sooner',
    'kspp',
    [{ sysctl: 'vm.mmap_rnd_bits', is: '24' }],
    onArm,
  ),
  set('fs.protected_symlinks', '1', 'a link in /tmp could lead a program elsewhere', 'kspp'),
  set('fs.protected_hardlinks', '1', 'a file of others could be held by a second name', 'kspp'),
  set(
    'fs.protected_fifos',
    '2',
    'a pipe in /tmp could stand where a program expects a file',
    'kspp',
  ),
  set(
    'fs.protected_regular',
    '2',
    'a file in /tmp could stand where a program makes its own',
    'kspp',
  ),
  set(
    'fs.suid_dumpable',
    '0',
    'what a program with more rights knew would be in a file when it fails',
    'kspp',
  ),
  ...network('ipv4', 'accept_redirects', '0', REDIRECTS),
  ...network('ipv6', 'accept_redirects', '0', REDIRECTS),
  ...network('ipv4', 'secure_redirects', '0', REDIRECTS),
  ...network('ipv4', 'send_redirects', '0', 'a machine that is no router would act as one'),
  ...network('ipv4', 'accept_source_route', '0', ROUTES),
  ...network('ipv6', 'accept_source_route', '0', ROUTES),
  ...network(
    'ipv4',
    'rp_filter',
    '1',
    'a sender could use an address that is not behind its interface',
  ),
  set('net.ipv4.icmp_echo_ignore_broadcasts', '1', 'one packet would be answered by all', 'cis'),
  set(
    'net.ipv4.icmp_ignore_bogus_error_responses',
    '1',
    'the log could be filled from outside',
    'cis',
  ),
  set(
    'net.ipv4.tcp_syncookies',
    '1',
    'a flood of half-open connections would leave no room for others',
    'cis',
  ),
];
