import { config, type KernelRule, on, armOnly, x86Only, rule } from './rule.ts';

const intel = { ...x86Only, or: [config('CPU_SUP_INTEL', 'n')] };
const amd = { ...x86Only, or: [config('CPU_SUP_AMD', 'n')] };

function mitigation(symbol: string, what: string, more: Parameters<typeof on>[3]): KernelRule {
  return on(symbol, what, 'mitigations', more);
}

/** Rules for mitigations of CPU vulnerabilities, and for protections that processors offer. */
export const PROCESSOR_RULES: readonly KernelRule[] = [
  mitigation('CPU_MITIGATIONS', 'no CPU vulnerability would be mitigated', {}),
  mitigation('MICROCODE', 'some vulnerabilities need new microcode', x86Only),
  on('X86_MCE', 'hardware errors would go unreported', 'linux', x86Only),
  on('X86_MCE_INTEL', 'hardware errors would go unreported', 'linux', intel),
  on('X86_MCE_AMD', 'hardware errors would go unreported', 'linux', amd),
  mitigation(
    'MITIGATION_PAGE_TABLE_ISOLATION',
    'Meltdown: a process can read kernel memory',
    x86Only,
  ),
  mitigation('MITIGATION_SPECTRE_V1', 'Spectre: speculative loads can bypass bounds checks', {
    ...x86Only,
    since: [6, 12],
  }),
  mitigation(
    'MITIGATION_SPECTRE_V2',
    'Spectre: a process can steer the kernel’s branch predictions',
    { ...x86Only, since: [6, 12] },
  ),
  mitigation(
    'MITIGATION_SPECTRE_BHI',
    'Spectre: branch history can steer branch predictions',
    intel,
  ),
  mitigation(
    'MITIGATION_RETPOLINE',
    'Spectre: the kernel’s indirect branches are predicted',
    x86Only,
  ),
  mitigation('MITIGATION_RETHUNK', 'Retbleed: the kernel’s returns are predicted', x86Only),
  mitigation('MITIGATION_RETBLEED', 'Retbleed: the kernel’s returns are predicted', intel),
  mitigation('MITIGATION_UNRET_ENTRY', 'Retbleed on AMD processors', amd),
  mitigation('MITIGATION_IBPB_ENTRY', 'Retbleed on AMD processors', amd),
  mitigation('MITIGATION_IBRS_ENTRY', 'Retbleed on Intel processors', intel),
  mitigation('MITIGATION_CALL_DEPTH_TRACKING', 'Retbleed on Intel processors', intel),
  mitigation('MITIGATION_SRSO', 'Inception: a process can train return predictions', amd),
  mitigation('MITIGATION_SLS', 'code behind a jump runs speculatively', x86Only),
  mitigation('MITIGATION_SSB', 'a speculative load can see data from before a store', x86Only),
  mitigation('MITIGATION_MDS', 'CPU buffers can be sampled', intel),
  mitigation('MITIGATION_TAA', 'CPU buffers can be sampled through transactions', intel),
  mitigation(
    'MITIGATION_MMIO_STALE_DATA',
    'CPU buffers can be sampled through device memory',
    intel,
  ),
  mitigation('MITIGATION_L1TF', 'the cache can be read through absent pages', intel),
  mitigation('MITIGATION_SRBDS', 'another core’s random numbers can be sampled', intel),
  mitigation('MITIGATION_GDS', 'Downfall: other processes’ vector registers can be sampled', intel),
  mitigation('MITIGATION_RFDS', 'other processes’ registers can be sampled on small cores', intel),
  mitigation('MITIGATION_ITS', 'branches in the lower half of a cache line are predicted', intel),
  mitigation('MITIGATION_TSA', 'other processes’ loads and buffers can be inferred', amd),
  on(
    'X86_INTEL_TSX_MODE_OFF',
    'transactions enable several of these attacks',
    'mitigations',
    intel,
  ),
  on('X86_KERNEL_IBT', 'an indirect jump could enter the middle of a function', 'linux', x86Only),
  on('X86_UMIP', 'a process could read the addresses of the kernel’s tables', 'linux', x86Only),
  on('X86_USER_SHADOW_STACK', 'programs could not protect their return addresses', 'kspp', {
    ...x86Only,
    since: [6, 6],
  }),
  on('SCHED_CORE', 'programs that do not trust each other could share a core', 'kspp'),

  on('UNMAP_KERNEL_AT_EL0', 'Meltdown: a process can read kernel memory', 'mitigations', armOnly),
  on(
    'MITIGATE_SPECTRE_BRANCH_HISTORY',
    'a process can steer the kernel’s branch predictions',
    'mitigations',
    armOnly,
  ),
  on('ARM64_PAN', 'the kernel could access user memory by accident', 'linux', armOnly),
  on('ARM64_EPAN', 'the kernel could access execute-only memory by accident', 'linux', armOnly),
  on(
    'ARM64_SW_TTBR0_PAN',
    'processors without PAN would lack the emulation of it',
    'kspp',
    armOnly,
  ),
  on('ARM64_E0PD', 'a process could detect kernel mappings by timing', 'linux', armOnly),
  on('ARM64_PTR_AUTH', 'programs could not sign their return addresses', 'linux', armOnly),
  on('ARM64_PTR_AUTH_KERNEL', 'the kernel would not sign its return addresses', 'linux', armOnly),
  on('ARM64_BTI', 'a program’s jump could enter the middle of a function', 'linux', armOnly),
  on(
    'ARM64_BTI_KERNEL',
    'a jump of the kernel could enter the middle of a function',
    'linux',
    armOnly,
  ),
  on('ARM64_MTE', 'programs could not tag their memory', 'linux', armOnly),

  rule(
    'kconfig',
    'ARCH_MMAP_RND_BITS',
    config('ARCH_MMAP_RND_BITS', '32'),
    'program addresses would be easier to guess',
    'kspp',
    x86Only,
  ),
  rule(
    'kconfig',
    'ARCH_MMAP_RND_BITS',
    config('ARCH_MMAP_RND_BITS', '33'),
    'program addresses would be easier to guess',
    'kspp',
    {
      ...armOnly,
      or: [config('ARCH_MMAP_RND_BITS', '24'), config('ARCH_MMAP_RND_BITS', '18')],
    },
  ),
];
