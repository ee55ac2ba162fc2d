import { type KernelRule, parseRules } from './rule.ts';

/** Symbols to leave unset, below the source of the recommendation and the risk. */
const UNSET_SYMBOLS = `
kspp | code could be added to the running kernel
  MODULES MODULE_FORCE_LOAD LIVEPATCH
kspp | kernel memory could be read or written as a file
  DEVMEM DEVKMEM PROC_KCORE ACPI_CUSTOM_METHOD
kspp | another kernel could replace this one
  KEXEC HIBERNATION
clipos | another kernel could replace this one
  KEXEC_FILE CRASH_DUMP PROC_VMCORE
kspp | system calls for 32-bit and 16-bit programs are less reviewed
  COMPAT IA32_EMULATION X86_X32_ABI MODIFY_LDT_SYSCALL COMPAT_VDSO X86_16BIT
kspp | it weakens address randomisation
  COMPAT_BRK
kspp | a user who can mount it chooses the interpreter of files
  BINFMT_MISC
kspp | it reveals the sockets of other processes
  INET_DIAG
kspp | it allows input into, or capture of, other terminals
  LEGACY_TIOCSTI LEGACY_PTYS
kspp | it accesses the processor past the kernel’s checks
  X86_MSR
clipos | it accesses processor or firmware past the kernel’s checks
  X86_CPUID X86_IOPL_IOPERM ACPI_TABLE_UPGRADE EFI_CUSTOM_SSDT_OVERLAYS
clipos | it is a frequent attack vector that few programs need
  USER_NS AIO STAGING
clipos | it reveals the addresses of kernel functions
  KALLSYMS
clipos | equal pages can be detected by timing
  KSM
clipos | console keys would control the kernel
  MAGIC_SYSRQ
grapheneos | a serial line would control the kernel
  MAGIC_SYSRQ_SERIAL
grsecurity | it is a frequent attack vector that few programs need
  USERFAULTFD IO_URING CHECKPOINT_RESTORE KCMP RSEQ CACHESTAT_SYSCALL USELIB BINFMT_AOUT
  BLK_DEV_UBLK SMB_SERVER
grsecurity | this protocol is a frequent attack vector that few programs need
  MPTCP TLS TIPC IP_SCTP IP_DCCP
grsecurity | kernel functions could be traced and changed
  KPROBE_EVENTS UPROBE_EVENTS GENERIC_TRACER FUNCTION_TRACER STACK_TRACER HIST_TRIGGERS
  BLK_DEV_IO_TRACE ENABLE_DEFAULT_TRACERS PREEMPTIRQ_TRACEPOINTS KGDB
grsecurity | it exposes memory of processes and the kernel
  DEBUG_FS PROC_PAGE_MONITOR MEM_SOFT_DIRTY DEBUG_KMEMLEAK PTDUMP_DEBUGFS ZSMALLOC_STAT LATENCYTOP
  SUNRPC_DEBUG XFS_ONLINE_SCRUB_STATS
grsecurity | it is a debugging aid that introduces faults
  NOTIFIER_ERROR_INJECTION FAIL_FUTEX HWPOISON_INJECT KCOV PROVE_LOCKING TEST_DEBUG_VIRTUAL
  EDAC_DEBUG PUNIT_ATOM_DEBUG DEBUG_CLOSURES
grsecurity | it accesses hardware past the kernel’s checks
  DEVPORT ACPI_CONFIGFS PROVIDE_OHCI1394_DMA_INIT MTD_SLRAM MTD_PHRAM
lockdown | root could change the running kernel with it
  EFI_TEST MMIOTRACE_TEST KPROBES BPF_SYSCALL MMIOTRACE FTRACE
linux | it is a debugging aid that introduces faults
  FAULT_INJECTION LKDTM INPUT_EVBUG VIDEO_VIVID
linux | old file system formats have fewer checks
  XFS_SUPPORT_V4
linux | it is old code and a frequent attack vector
  FB VT BLK_DEV_FD BLK_DEV_FD_RAWCMD N_GSM DRM_LEGACY
linux | any user can reach the kernel’s ciphers, a frequent attack vector
  CRYPTO_USER_API CRYPTO_USER_API_AEAD CRYPTO_USER_API_HASH CRYPTO_USER_API_RNG
  CRYPTO_USER_API_SKCIPHER
`;

/** Rules for attack surface: features that are better left out. */
export const SURFACE_RULES: readonly KernelRule[] = parseRules(
  'kconfig',
  `
${[...unsetRows()].join('\n')}
kspp        | CONFIG_LDISC_AUTOLOAD is not set | any user could load modules of line disciplines
kspp        | CONFIG_BPF_UNPRIV_DEFAULT_OFF=y or CONFIG_BPF_SYSCALL is not set | any user could load BPF programs
kspp        | CONFIG_STRICT_DEVMEM=y or CONFIG_DEVMEM is not set | all memory would be accessible through /dev/mem
kspp        | CONFIG_IO_STRICT_DEVMEM=y or CONFIG_DEVMEM is not set | device memory would be accessible through /dev/mem
kspp x86_64 | CONFIG_X86_VSYSCALL_EMULATION is not set or CONFIG_LEGACY_VSYSCALL_NONE=y | every process would have code at a known address
`,
);

/** Yields a row for each symbol. */
function* unsetRows(): Generator<string> {
  let head: readonly string[] = [];
  for (const line of UNSET_SYMBOLS.trim().split('\n')) {
    if (!line.startsWith(' ')) head = line.split(' | ');
    else
      for (const symbol of line.trim().split(' '))
        yield `${head[0]} | CONFIG_${symbol} is not set | ${head[1]}`;
  }
}
