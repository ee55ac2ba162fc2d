import { config, type KernelRule, on, onArm, onX86, rule } from './rule.ts';

const intel = { ...onX86, or: [config('CPU_SUP_INTEL', 'n')] };
const amd = { ...onX86, or: [config('CPU_SUP_AMD', 'n')] };

function flaw(symbol: string, what: string, more: Parameters<typeof on>[3]): KernelRule {
  return on(symbol, what, 'mitigations', more);
}

/** Flaws of processors that are worked around, and what processors offer. */
export const PROCESSOR_RULES: readonly KernelRule[] = [
  flaw('CPU_MITIGATIONS', 'no flaw of the processor would be worked around', {}),
  flaw('MICROCODE', 'some are only by new microcode', onX86),
  on('X86_MCE', 'faults of the hardware would go unseen', 'linux', onX86),
  on('X86_MCE_INTEL', 'faults of the hardware would go unseen', 'linux', intel),
  on('X86_MCE_AMD', 'faults of the hardware would go unseen', 'linux', amd),
  flaw('MITIGATION_PAGE_TABLE_ISOLATION', 'Meltdown: a process reads the kernel’s memory', onX86),
  flaw('MITIGATION_SPECTRE_V1', 'Spectre: bounds are not checked before memory is looked at', {
    ...onX86,
    since: [6, 12],
  }),
  flaw(
    'MITIGATION_SPECTRE_V2',
    'Spectre: a process decides where the kernel’s jumps seem to lead',
    { ...onX86, since: [6, 12] },
  ),
  flaw('MITIGATION_SPECTRE_BHI', 'the same by the history of jumps', intel),
  flaw('MITIGATION_RETPOLINE', 'Spectre: the kernel’s jumps are foretold', onX86),
  flaw('MITIGATION_RETHUNK', 'Retbleed: the kernel’s returns are foretold', onX86),
  flaw('MITIGATION_RETBLEED', 'Retbleed: the kernel’s returns are foretold', intel),
  flaw('MITIGATION_UNRET_ENTRY', 'Retbleed on AMD’s processors', amd),
  flaw('MITIGATION_IBPB_ENTRY', 'Retbleed on AMD’s processors', amd),
  flaw('MITIGATION_IBRS_ENTRY', 'Retbleed on Intel’s processors', intel),
  flaw('MITIGATION_CALL_DEPTH_TRACKING', 'Retbleed on Intel’s processors', intel),
  flaw('MITIGATION_SRSO', 'Inception: returns are foretold by what a process has trained', amd),
  flaw('MITIGATION_SLS', 'what stands behind a jump is looked at', onX86),
  flaw('MITIGATION_SSB', 'a load sees what was there before a store', onX86),
  flaw('MITIGATION_MDS', 'buffers of the processor are read', intel),
  flaw('MITIGATION_TAA', 'buffers of the processor are read by transactions', intel),
  flaw('MITIGATION_MMIO_STALE_DATA', 'buffers of the processor are read by way of devices', intel),
  flaw('MITIGATION_L1TF', 'the cache is read through pages that are not there', intel),
  flaw('MITIGATION_SRBDS', 'another core’s random numbers are read', intel),
  flaw('MITIGATION_GDS', 'Downfall: vector registers of others are read', intel),
  flaw('MITIGATION_RFDS', 'registers of others are read on small cores', intel),
  flaw('MITIGATION_ITS', 'jumps in the lower half of a cache line are foretold', intel),
  flaw('MITIGATION_TSA', 'loads and buffers of others are inferred', amd),
  on(
    'X86_INTEL_TSX_MODE_OFF',
    'transactions make several of these attacks possible',
    'mitigations',
    intel,
  ),
  on('X86_KERNEL_IBT', 'a jump could lead into the middle of a function', 'linux', onX86),
  on('X86_UMIP', 'a process could ask where the kernel’s tables are', 'linux', onX86),
  on('X86_USER_SHADOW_STACK', 'programs could not guard where they return to', 'kspp', {
    ...onX86,
    since: [6, 6],
  }),
  on('SCHED_CORE', 'programs that do not trust each other would share a core', 'kspp'),

  on('UNMAP_KERNEL_AT_EL0', 'Meltdown: a process reads the kernel’s memory', 'mitigations', onArm),
  on(
    'MITIGATE_SPECTRE_BRANCH_HISTORY',
    'a process decides where the kernel’s jumps seem to lead',
    'mitigations',
    onArm,
  ),
  on('ARM64_PAN', 'the kernel would read a user’s memory without meaning to', 'linux', onArm),
  on('ARM64_EPAN', 'the same for memory that can only be run', 'linux', onArm),
  on('ARM64_SW_TTBR0_PAN', 'the same on processors without PAN', 'kspp', onArm),
  on('ARM64_E0PD', 'a process could measure what of the kernel is mapped', 'linux', onArm),
  on('ARM64_PTR_AUTH', 'programs could not sign where they return to', 'linux', onArm),
  on('ARM64_PTR_AUTH_KERNEL', 'the kernel would not sign where it returns to', 'linux', onArm),
  on('ARM64_BTI', 'a jump of a program could lead into the middle of a function', 'linux', onArm),
  on(
    'ARM64_BTI_KERNEL',
    'a jump of the kernel could lead into the middle of a function',
    'linux',
    onArm,
  ),
  on('ARM64_MTE', 'programs could not tag their memory', 'linux', onArm),

  rule(
    'kconfig',
    'ARCH_MMAP_RND_BITS',
    config('ARCH_MMAP_RND_BITS', '32'),
    'where programs are could be guessed sooner',
    'kspp',
    onX86,
  ),
  rule(
    'kconfig',
    'ARCH_MMAP_RND_BITS',
    config('ARCH_MMAP_RND_BITS', '33'),
    'where programs are could be guessed sooner',
    'kspp',
    {
      ...onArm,
      or: [config('ARCH_MMAP_RND_BITS', '24'), config('ARCH_MMAP_RND_BITS', '18')],
    },
  ),
];
