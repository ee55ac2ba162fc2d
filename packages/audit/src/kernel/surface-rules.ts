import { config, type KernelRule, off, on, rule, type RuleSource } from './rule.ts';

const NO_DEVMEM = config('DEVMEM', 'n');

/** What is better not there, by what it gives an attack, and by whom it is said. */
const ABSENT: readonly (readonly [RuleSource, string, readonly string[]])[] = [
  [
    'kspp',
    'code could be put into the running kernel',
    ['MODULES', 'MODULE_FORCE_LOAD', 'LIVEPATCH'],
  ],
  [
    'kspp',
    'the kernel’s memory could be read or written as a file',
    ['DEVMEM', 'DEVKMEM', 'PROC_KCORE', 'ACPI_CUSTOM_METHOD'],
  ],
  ['kspp', 'another kernel could take the place of this one', ['KEXEC', 'HIBERNATION']],
  [
    'clipos',
    'another kernel could take the place of this one',
    ['KEXEC_FILE', 'CRASH_DUMP', 'PROC_VMCORE'],
  ],
  [
    'kspp',
    'programs of 32 and 16 bits have system calls of their own, which few look at',
    ['COMPAT', 'IA32_EMULATION', 'X86_X32_ABI', 'MODIFY_LDT_SYSCALL', 'COMPAT_VDSO', 'X86_16BIT'],
  ],
  ['kspp', 'it undoes what makes addresses hard to guess', ['COMPAT_BRK']],
  ['kspp', 'who can mount it decides what runs a file', ['BINFMT_MISC']],
  ['kspp', 'it tells about the sockets of others', ['INET_DIAG']],
  [
    'kspp',
    'it types into the terminal of others, or keeps one they think is theirs',
    ['LEGACY_TIOCSTI', 'LEGACY_PTYS'],
  ],
  ['kspp', 'it is a way to the processor past the kernel', ['X86_MSR']],
  [
    'clipos',
    'it is a way to the processor or firmware past the kernel',
    ['X86_CPUID', 'X86_IOPL_IOPERM', 'ACPI_TABLE_UPGRADE', 'EFI_CUSTOM_SSDT_OVERLAYS'],
  ],
  ['clipos', 'it has been the way in, and few programs need it', ['USER_NS', 'AIO', 'STAGING']],
  ['clipos', 'it shows where the kernel’s functions are', ['KALLSYMS']],
  ['clipos', 'what pages have in common can be measured', ['KSM']],
  ['clipos', 'keys on the console would give orders to the kernel', ['MAGIC_SYSRQ']],
  ['grapheneos', 'so would a serial line', ['MAGIC_SYSRQ_SERIAL']],
  [
    'grsecurity',
    'it has been the way in, and few programs need it',
    [
      'USERFAULTFD',
      'IO_URING',
      'CHECKPOINT_RESTORE',
      'KCMP',
      'RSEQ',
      'CACHESTAT_SYSCALL',
      'USELIB',
      'BINFMT_AOUT',
      'BLK_DEV_UBLK',
      'SMB_SERVER',
    ],
  ],
  [
    'grsecurity',
    'these protocols have been the way in, and few programs need them',
    ['MPTCP', 'TLS', 'TIPC', 'IP_SCTP', 'IP_DCCP'],
  ],
  [
    'grsecurity',
    'the kernel’s functions could be watched and changed',
    [
      'KPROBE_EVENTS',
      'UPROBE_EVENTS',
      'GENERIC_TRACER',
      'FUNCTION_TRACER',
      'STACK_TRACER',
      'HIST_TRIGGERS',
      'BLK_DEV_IO_TRACE',
      'ENABLE_DEFAULT_TRACERS',
      'PREEMPTIRQ_TRACEPOINTS',
      'KGDB',
    ],
  ],
  [
    'grsecurity',
    'it shows what processes and the kernel have in memory',
    [
      'DEBUG_FS',
      'PROC_PAGE_MONITOR',
      'MEM_SOFT_DIRTY',
      'DEBUG_KMEMLEAK',
      'PTDUMP_DEBUGFS',
      'ZSMALLOC_STAT',
      'LATENCYTOP',
      'SUNRPC_DEBUG',
      'XFS_ONLINE_SCRUB_STATS',
    ],
  ],
  [
    'grsecurity',
    'it is for finding faults, and makes some',
    [
      'NOTIFIER_ERROR_INJECTION',
      'FAIL_FUTEX',
      'HWPOISON_INJECT',
      'KCOV',
      'PROVE_LOCKING',
      'TEST_DEBUG_VIRTUAL',
      'EDAC_DEBUG',
      'PUNIT_ATOM_DEBUG',
      'DEBUG_CLOSURES',
    ],
  ],
  [
    'grsecurity',
    'it is a way to hardware past the kernel',
    ['DEVPORT', 'ACPI_CONFIGFS', 'PROVIDE_OHCI1394_DMA_INIT', 'MTD_SLRAM', 'MTD_PHRAM'],
  ],
  [
    'lockdown',
    'root could change the running kernel by it',
    ['EFI_TEST', 'MMIOTRACE_TEST', 'KPROBES', 'BPF_SYSCALL', 'MMIOTRACE', 'FTRACE'],
  ],
  [
    'linux',
    'it is for finding faults, and makes some',
    ['FAULT_INJECTION', 'LKDTM', 'INPUT_EVBUG', 'VIDEO_VIVID'],
  ],
  ['linux', 'file systems made long ago are checked less', ['XFS_SUPPORT_V4']],
  [
    'linux',
    'it is old, and has been the way in',
    ['FB', 'VT', 'BLK_DEV_FD', 'BLK_DEV_FD_RAWCMD', 'N_GSM', 'DRM_LEGACY'],
  ],
  [
    'linux',
    'ciphers of the kernel can be asked by anybody, and have been the way in',
    [
      'CRYPTO_USER_API',
      'CRYPTO_USER_API_AEAD',
      'CRYPTO_USER_API_HASH',
      'CRYPTO_USER_API_RNG',
      'CRYPTO_USER_API_SKCIPHER',
    ],
  ],
];

export const SURFACE_RULES: readonly KernelRule[] = [
  ...ABSENT.flatMap(([source, reason, symbols]) =>
    symbols.map((symbol) => off(symbol, reason, source)),
  ),
  off('LDISC_AUTOLOAD', 'anybody could have modules for old terminals loaded', 'kspp'),
  on('BPF_UNPRIV_DEFAULT_OFF', 'everybody could load programs of BPF', 'kspp', {
    or: [config('BPF_SYSCALL', 'n')],
  }),
  on('STRICT_DEVMEM', 'all memory would be in /dev/mem', 'kspp', { or: [NO_DEVMEM] }),
  on('IO_STRICT_DEVMEM', 'the memory of devices would be in /dev/mem', 'kspp', { or: [NO_DEVMEM] }),
  rule(
    'kconfig',
    'X86_VSYSCALL_EMULATION',
    config('X86_VSYSCALL_EMULATION', 'n'),
    'every process would have code at an address that is known',
    'kspp',
    {
      arches: ['x86_64'],
      or: [config('LEGACY_VSYSCALL_NONE', 'y')],
    },
  ),
];
