import {
  config,
  parameterOrDefault,
  type KernelRule,
  armOnly,
  x86Only,
  parameter,
  rule,
  noParameter,
} from './rule.ts';

const OFF = 'a CPU vulnerability would not be mitigated';
/** Parameters whose value `off` disables a mitigation; other values refine the default. */
const MITIGATIONS =
  'spectre_v2 spectre_v2_user spectre_bhi spec_store_bypass_disable l1tf mds ' +
  'tsx_async_abort srbds mmio_stale_data retbleed spec_rstack_overflow ' +
  'gather_data_sampling reg_file_data_sampling indirect_target_selection tsa vmscape';

/**
 * Rules for the command line: parameters that disable built-in protection, and those that add
 * protection.
 */
export const CMDLINE_RULES: readonly KernelRule[] = [
  noParameter('nokaslr', 'the kernel would load at a fixed address', 'linux'),
  noParameter('no_hash_pointers', 'messages would contain real addresses', 'linux'),
  noParameter('norandmaps', 'programs would load at fixed addresses', 'linux'),
  noParameter('sysrq_always_enabled', 'console keys would control the kernel', 'grapheneos'),
  ...['slab_merge', 'slub_merge'].map((name) =>
    noParameter(name, 'objects of different types would share caches', 'kspp'),
  ),
  ...['nosmep', 'nosmap', 'clearcpuid'].map((name) =>
    noParameter(name, 'a protection of the processor would not be used', 'linux', x86Only),
  ),
  ...['nopti', 'nospectre_v1', 'nospec_store_bypass_disable', 'dis_ucode_ldr'].map((name) =>
    noParameter(name, OFF, 'mitigations', x86Only),
  ),
  noParameter('nospectre_v2', OFF, 'mitigations'),
  noParameter('nospectre_bhb', OFF, 'mitigations', armOnly),
  ...['arm64.nobti', 'arm64.nopauth', 'arm64.nomte'].map((name) =>
    noParameter(name, 'a protection of the processor would not be used', 'linux', armOnly),
  ),
  ...MITIGATIONS.split(' ').map((name) =>
    rule(
      'cmdline',
      name,
      { any: ['on', 'auto', 'full', 'force', null].map((is) => parameter(name, is)) },
      OFF,
      'mitigations',
      x86Only,
    ),
  ),
  rule(
    'cmdline',
    'rodata',
    { any: [parameter('rodata', null), parameter('rodata', 'on'), parameter('rodata', 'full')] },
    'read-only data of the kernel would be writable',
    'linux',
  ),
  rule(
    'cmdline',
    'mitigations',
    parameter('mitigations', 'auto,nosmt'),
    'SMT would stay on where only turning it off helps',
    'kspp',
    x86Only,
  ),
  rule(
    'cmdline',
    'mitigations',
    { any: [parameter('mitigations', null), parameter('mitigations', 'auto')] },
    OFF,
    'mitigations',
    armOnly,
  ),
  rule(
    'cmdline',
    'nosmt',
    parameter('nosmt', ''),
    'a thread can observe the other thread of its core',
    'kspp',
    x86Only,
  ),
  rule(
    'cmdline',
    'pti',
    parameter('pti', 'on'),
    'kernel addresses can be measured even on CPUs without Meltdown',
    'kspp',
    x86Only,
  ),
  rule(
    'cmdline',
    'page_alloc.shuffle',
    parameter('page_alloc.shuffle', '1'),
    'the order of free pages would be predictable',
    'kspp',
  ),
  rule(
    'cmdline',
    'hash_pointers',
    parameter('hash_pointers', 'always'),
    'slab_debug would print real addresses',
    'kspp',
    { since: [6, 17] },
  ),
  parameterOrDefault(
    'slab_nomerge',
    '',
    ['SLAB_MERGE_DEFAULT', 'n'],
    'objects of different types would share caches',
  ),
  parameterOrDefault(
    'init_on_alloc',
    '1',
    ['INIT_ON_ALLOC_DEFAULT_ON', 'y'],
    'allocated memory would contain old data',
  ),
  parameterOrDefault(
    'init_on_free',
    '1',
    ['INIT_ON_FREE_DEFAULT_ON', 'y'],
    'freed memory would keep its data',
  ),
  rule(
    'cmdline',
    'hardened_usercopy',
    {
      any: [
        parameter('hardened_usercopy', null),
        parameter('hardened_usercopy', '1'),
        parameter('hardened_usercopy', 'on'),
      ],
    },
    'copies to user space could exceed the object',
    'kspp',
  ),
  parameterOrDefault(
    'kfence.sample_interval',
    '100',
    ['KFENCE_SAMPLE_INTERVAL', '100'],
    'too few objects would be sampled',
  ),
  parameterOrDefault(
    'randomize_kstack_offset',
    'on',
    ['RANDOMIZE_KSTACK_OFFSET_DEFAULT', 'y'],
    'kernel stack offsets would be equal in every system call',
  ),
  parameterOrDefault(
    'lockdown',
    'confidentiality',
    ['LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY', 'y'],
    'root could change the running kernel',
  ),
  parameterOrDefault(
    'module.sig_enforce',
    '1',
    ['MODULE_SIG_FORCE', 'y'],
    'any module could be loaded',
    {
      or: [config('MODULES', 'n')],
    },
  ),
  parameterOrDefault(
    'efi',
    'disable_early_pci_dma',
    ['EFI_DISABLE_PCI_DMA', 'y'],
    'devices could access memory until the IOMMU is set up',
    { or: [config('EFI', 'n')] },
  ),
  parameterOrDefault(
    'iommu.passthrough',
    '0',
    ['IOMMU_DEFAULT_PASSTHROUGH', 'n'],
    'devices could access all memory',
  ),
  parameterOrDefault(
    'iommu.strict',
    '1',
    ['IOMMU_DEFAULT_DMA_STRICT', 'y'],
    'devices could access memory for a while after its reuse',
  ),
  parameterOrDefault(
    'intel_iommu',
    'on',
    ['INTEL_IOMMU_DEFAULT_ON', 'y'],
    'devices could access all memory on Intel machines',
    x86Only,
  ),
  rule(
    'cmdline',
    'amd_iommu',
    { any: ['on', 'force_isolation', null].map((is) => parameter('amd_iommu', is)) },
    'devices could access all memory on AMD machines',
    'linux',
    x86Only,
  ),
  parameterOrDefault(
    'cfi',
    'kcfi',
    ['CFI_AUTO_DEFAULT', 'n'],
    'the caller could bypass the check of function types',
    { ...x86Only, or: [config('CFI_CLANG', 'n')] },
  ),
  parameterOrDefault(
    'tsx',
    'off',
    ['X86_INTEL_TSX_MODE_OFF', 'y'],
    'transactions enable several attacks',
    x86Only,
  ),
  parameterOrDefault(
    'vsyscall',
    'none',
    ['LEGACY_VSYSCALL_NONE', 'y'],
    'every process would have code at a known address',
    { ...x86Only, or: [config('X86_VSYSCALL_EMULATION', 'n')] },
  ),
  parameterOrDefault(
    'vdso32',
    '0',
    ['COMPAT_VDSO', 'n'],
    'programs of 32 bits would have code at a known address',
    x86Only,
  ),
  parameterOrDefault(
    'ia32_emulation',
    '0',
    ['IA32_EMULATION', 'n'],
    'system calls for 32-bit programs are less reviewed',
    x86Only,
  ),
  rule(
    'cmdline',
    'debugfs',
    parameter('debugfs', 'off'),
    'it exposes the kernel’s memory',
    'grsecurity',
    { or: [config('DEBUG_FS', 'n')] },
  ),
  parameterOrDefault(
    'proc_mem.force_override',
    'never',
    ['PROC_MEM_NO_FORCE', 'y'],
    'read-only process memory would be writable through /proc',
    { since: [6, 12] },
  ),
];
