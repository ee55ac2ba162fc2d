import { config, given, type KernelRule, onArm, onX86, parameter, rule, without } from './rule.ts';

const OFF = 'a flaw of the processor would not be worked around';
/** Parameters that are `off` for no mitigation; what else they say is finer than the default. */
const MITIGATIONS =
  'spectre_v2 spectre_v2_user spectre_bhi spec_store_bypass_disable l1tf mds ' +
  'tsx_async_abort srbds mmio_stale_data retbleed spec_rstack_overflow ' +
  'gather_data_sampling reg_file_data_sampling indirect_target_selection tsa vmscape';

/** How a kernel is started: what turns off what it was built with, and what it was not built with. */
export const CMDLINE_RULES: readonly KernelRule[] = [
  without('nokaslr', 'the kernel would always be at the same address', 'linux'),
  without('no_hash_pointers', 'addresses would be in messages as they are', 'linux'),
  without('norandmaps', 'programs would always be at the same addresses', 'linux'),
  without('sysrq_always_enabled', 'keys would give orders to the kernel', 'grapheneos'),
  ...['slab_merge', 'slub_merge'].map((name) =>
    without(name, 'objects of different kinds would be neighbours', 'kspp'),
  ),
  ...['nosmep', 'nosmap', 'clearcpuid'].map((name) =>
    without(name, 'what a processor offers would not be used', 'linux', onX86),
  ),
  ...['nopti', 'nospectre_v1', 'nospec_store_bypass_disable', 'dis_ucode_ldr'].map((name) =>
    without(name, OFF, 'mitigations', onX86),
  ),
  without('nospectre_v2', OFF, 'mitigations'),
  without('nospectre_bhb', OFF, 'mitigations', onArm),
  ...['arm64.nobti', 'arm64.nopauth', 'arm64.nomte'].map((name) =>
    without(name, 'what a processor offers would not be used', 'linux', onArm),
  ),
  ...MITIGATIONS.split(' ').map((name) =>
    rule(
      'cmdline',
      name,
      { any: ['on', 'auto', 'full', 'force', null].map((is) => parameter(name, is)) },
      OFF,
      'mitigations',
      onX86,
    ),
  ),
  rule(
    'cmdline',
    'rodata',
    { any: [parameter('rodata', null), parameter('rodata', 'on'), parameter('rodata', 'full')] },
    'read-only data of the kernel could be written',
    'linux',
  ),
  rule(
    'cmdline',
    'mitigations',
    parameter('mitigations', 'auto,nosmt'),
    'where only that helps, threads of one core would stay on',
    'kspp',
    onX86,
  ),
  rule(
    'cmdline',
    'mitigations',
    { any: [parameter('mitigations', null), parameter('mitigations', 'auto')] },
    OFF,
    'mitigations',
    onArm,
  ),
  rule(
    'cmdline',
    'nosmt',
    parameter('nosmt', ''),
    'what a thread does can be seen from the other thread of its core',
    'kspp',
    onX86,
  ),
  rule(
    'cmdline',
    'pti',
    parameter('pti', 'on'),
    'on processors without Meltdown the kernel’s addresses can still be measured',
    'kspp',
    onX86,
  ),
  rule(
    'cmdline',
    'page_alloc.shuffle',
    parameter('page_alloc.shuffle', '1'),
    'which page comes after which could be foreseen',
    'kspp',
  ),
  rule(
    'cmdline',
    'hash_pointers',
    parameter('hash_pointers', 'always'),
    'slab_debug would print addresses as they are',
    'kspp',
    { since: [6, 17] },
  ),
  given(
    'slab_nomerge',
    '',
    ['SLAB_MERGE_DEFAULT', 'n'],
    'objects of different kinds would be neighbours',
  ),
  given(
    'init_on_alloc',
    '1',
    ['INIT_ON_ALLOC_DEFAULT_ON', 'y'],
    'memory would be given out with what was in it',
  ),
  given(
    'init_on_free',
    '1',
    ['INIT_ON_FREE_DEFAULT_ON', 'y'],
    'what is no longer used would stay readable',
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
    'more could be copied to the user than the object has',
    'kspp',
  ),
  given(
    'kfence.sample_interval',
    '100',
    ['KFENCE_SAMPLE_INTERVAL', '100'],
    'too few objects would be watched',
  ),
  given(
    'randomize_kstack_offset',
    'on',
    ['RANDOMIZE_KSTACK_OFFSET_DEFAULT', 'y'],
    'what is on the stack would be at the same place in every system call',
  ),
  given(
    'lockdown',
    'confidentiality',
    ['LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY', 'y'],
    'root could change the running kernel',
  ),
  given('module.sig_enforce', '1', ['MODULE_SIG_FORCE', 'y'], 'any module could be loaded', {
    or: [config('MODULES', 'n')],
  }),
  given(
    'efi',
    'disable_early_pci_dma',
    ['EFI_DISABLE_PCI_DMA', 'y'],
    'devices would reach memory until the kernel has set up its IOMMU',
    { or: [config('EFI', 'n')] },
  ),
  given(
    'iommu.passthrough',
    '0',
    ['IOMMU_DEFAULT_PASSTHROUGH', 'n'],
    'devices would reach all memory',
  ),
  given(
    'iommu.strict',
    '1',
    ['IOMMU_DEFAULT_DMA_STRICT', 'y'],
    'devices would reach memory for a while after it has another use',
  ),
  given(
    'intel_iommu',
    'on',
    ['INTEL_IOMMU_DEFAULT_ON', 'y'],
    'devices would reach all memory on Intel’s machines',
    onX86,
  ),
  rule(
    'cmdline',
    'amd_iommu',
    { any: ['on', 'force_isolation', null].map((is) => parameter('amd_iommu', is)) },
    'devices would reach all memory on AMD’s machines',
    'linux',
    onX86,
  ),
  given(
    'cfi',
    'kcfi',
    ['CFI_AUTO_DEFAULT', 'n'],
    'the check of functions could be one that the caller can pass by',
    { ...onX86, or: [config('CFI_CLANG', 'n')] },
  ),
  given(
    'tsx',
    'off',
    ['X86_INTEL_TSX_MODE_OFF', 'y'],
    'transactions make several attacks possible',
    onX86,
  ),
  given(
    'vsyscall',
    'none',
    ['LEGACY_VSYSCALL_NONE', 'y'],
    'every process would have code at an address that is known',
    { ...onX86, or: [config('X86_VSYSCALL_EMULATION', 'n')] },
  ),
  given(
    'vdso32',
    '0',
    ['COMPAT_VDSO', 'n'],
    'programs of 32 bits would have code at an address that is known',
    onX86,
  ),
  given(
    'ia32_emulation',
    '0',
    ['IA32_EMULATION', 'n'],
    'programs of 32 bits have system calls of their own',
    onX86,
  ),
  rule(
    'cmdline',
    'debugfs',
    parameter('debugfs', 'off'),
    'it shows what the kernel has in memory',
    'grsecurity',
    { or: [config('DEBUG_FS', 'n')] },
  ),
  given(
    'proc_mem.force_override',
    'never',
    ['PROC_MEM_NO_FORCE', 'y'],
    'read-only memory of a process could be written through /proc',
    { since: [6, 12] },
  ),
];
