import { config, type KernelRule, off, on, armOnly, x86Only, rule } from './rule.ts';

const NO_MODULES = config('MODULES', 'n');
const NO_IOMMU = config('IOMMU_SUPPORT', 'n');

/** Rules for kernel memory: its protection, and the detection of corruption. */
export const MEMORY_RULES: readonly KernelRule[] = [
  on('BUG', 'failed sanity checks would not stop a faulty process', 'linux'),
  on('STRICT_KERNEL_RWX', 'kernel code would be writable and kernel data executable', 'kspp'),
  on('STRICT_MODULE_RWX', 'module code would be writable and module data executable', 'kspp', {
    or: [NO_MODULES],
  }),
  on('DEBUG_WX', 'writable and executable mappings would go unreported', 'kspp'),
  on('WERROR', 'compiler warnings, which are often flaws, would be ignored', 'linux'),
  on('RANDOMIZE_BASE', 'the kernel would load at a fixed address', 'kspp'),
  on('RANDOMIZE_MEMORY', 'the map of physical memory would be at a fixed address', 'kspp', x86Only),
  on(
    'RODATA_FULL_DEFAULT_ENABLED',
    'read-only data would be writable through its linear alias',
    'linux',
    armOnly,
  ),
  on('THREAD_INFO_IN_TASK', 'a stack overflow could overwrite the thread’s state', 'linux'),

  on('STACKPROTECTOR', 'a stack buffer overflow could change the return address', 'kspp'),
  on('STACKPROTECTOR_STRONG', 'only functions with large buffers would be protected', 'kspp'),
  on('STACKPROTECTOR_PER_TASK', 'all tasks would share one stack canary', 'linux', armOnly),
  on('VMAP_STACK', 'a stack overflow would corrupt adjacent memory', 'kspp'),
  on('SCHED_STACK_END_CHECK', 'a stack overflow would go undetected', 'kspp'),
  on(
    'RANDOMIZE_KSTACK_OFFSET_DEFAULT',
    'kernel stack offsets would be equal in every system call',
    'kspp',
  ),
  on('INIT_STACK_ALL_ZERO', 'uninitialised variables would contain old stack data', 'kspp'),
  on('GCC_PLUGIN_STACKLEAK', 'stack data of one system call could leak to the next', 'kspp', {
    or: [config('KSTACK_ERASE', 'y')],
  }),
  off('STACKLEAK_METRICS', 'it reveals the stack depth of other processes in /proc', 'kspp'),
  off('STACKLEAK_RUNTIME_DISABLE', 'stack erasing could be turned off', 'kspp'),
  on('ZERO_CALL_USED_REGS', 'stale register values would help code-reuse attacks', 'kspp'),
  on('SHADOW_CALL_STACK', 'return addresses would have no protected copy', 'kspp', armOnly),

  on('SLUB_DEBUG', 'the slab allocator could not check itself', 'linux'),
  on('SLAB_FREELIST_RANDOM', 'the order of heap objects would be predictable', 'kspp'),
  on('SLAB_FREELIST_HARDENED', 'a heap overflow could redirect the next allocation', 'kspp'),
  off('SLAB_MERGE_DEFAULT', 'objects of different types would share caches', 'kspp'),
  on('RANDOM_KMALLOC_CACHES', 'objects of one size would share a cache across call sites', 'kspp', {
    since: [6, 6],
  }),
  on('SLAB_BUCKETS', 'user-controlled objects would share caches with kernel data', 'kspp', {
    since: [6, 11],
  }),
  on('SHUFFLE_PAGE_ALLOCATOR', 'the order of free pages would be predictable', 'kspp'),
  on('INIT_ON_ALLOC_DEFAULT_ON', 'allocated memory would contain old data', 'kspp'),
  on('INIT_ON_FREE_DEFAULT_ON', 'freed memory would keep its data', 'kspp'),
  on('KFENCE', 'use-after-free and overflows would go undetected', 'kspp'),
  rule(
    'kconfig',
    'KFENCE_SAMPLE_INTERVAL',
    config('KFENCE_SAMPLE_INTERVAL', '100'),
    'too few objects would be sampled',
    'kspp',
  ),
  on('PAGE_TABLE_CHECK', 'a page could belong to a user and the kernel at once', 'kspp', {
    since: [5, 17],
  }),
  on('PAGE_TABLE_CHECK_ENFORCED', 'the protection would be off by default', 'kspp', {
    since: [5, 17],
  }),
  on('KASAN_HW_TAGS', 'pointers would not be checked against memory tags', 'kspp', armOnly),

  on('HARDENED_USERCOPY', 'copies to user space could exceed the object', 'kspp'),
  on('HARDENED_USERCOPY_DEFAULT_ON', 'the protection would be off by default', 'kspp', {
    since: [6, 17],
  }),
  on('FORTIFY_SOURCE', 'string functions could overflow buffers of known size', 'kspp'),
  on('UBSAN_BOUNDS', 'out-of-bounds array accesses would go undetected', 'kspp'),
  on('UBSAN_TRAP', 'a violation would only be logged', 'kspp'),
  off('UBSAN_SHIFT', 'as a trap it would stop harmless code', 'kspp'),
  off('UBSAN_BOOL', 'as a trap it would stop harmless code', 'kspp'),
  off('UBSAN_ENUM', 'as a trap it would stop harmless code', 'kspp'),
  off('UBSAN_DIV_ZERO', 'as a trap it would stop harmless code', 'kspp'),
  off('UBSAN_UNREACHABLE', 'as a trap it would stop harmless code', 'kspp'),
  off('UBSAN_SIGNED_WRAP', 'as a trap it would stop harmless code', 'kspp'),
  off('UBSAN_ALIGNMENT', 'as a trap it would stop harmless code', 'kspp'),
  on('LIST_HARDENED', 'a forged list entry would allow arbitrary writes', 'kspp', {
    or: [config('DEBUG_LIST', 'y')],
  }),
  on('DEBUG_VIRTUAL', 'invalid addresses would be translated unchecked', 'kspp'),
  on('DEBUG_SG', 'scatter-gather lists would not be checked', 'kspp'),
  on('DEBUG_NOTIFIERS', 'notifiers outside of kernel code would be called', 'kspp', {
    or: [config('CFI_CLANG', 'y')],
  }),
  on('BUG_ON_DATA_CORRUPTION', 'the kernel would continue with corrupted structures', 'kspp'),
  on('RANDSTRUCT_FULL', 'structures would have a known layout', 'kspp', {
    or: [config('GCC_PLUGIN_RANDSTRUCT', 'y')],
  }),
  on('GCC_PLUGIN_LATENT_ENTROPY', 'less entropy would be available during boot', 'kspp', {
    or: [config('CC_IS_GCC', 'n')],
  }),
  on('CFI_CLANG', 'an indirect call could reach code other than functions of its type', 'kspp', {
    since: [6, 1],
  }),
  off('CFI_PERMISSIVE', 'a violation would only be logged', 'kspp'),

  rule(
    'kconfig',
    'DEFAULT_MMAP_MIN_ADDR',
    config('DEFAULT_MMAP_MIN_ADDR', '65536'),
    'a user could map the page at address zero',
    'kspp',
  ),
  rule(
    'kconfig',
    'LSM_MMAP_MIN_ADDR',
    config('LSM_MMAP_MIN_ADDR', '65536'),
    'CAP_SYS_RAWIO would still allow it to be mapped',
    'kspp',
  ),

  on('IOMMU_SUPPORT', 'devices could access all memory', 'linux'),
  on(
    'IOMMU_DEFAULT_DMA_STRICT',
    'devices could access memory for a while after its reuse',
    'kspp',
    { or: [NO_IOMMU] },
  ),
  off('IOMMU_DEFAULT_PASSTHROUGH', 'devices could access all memory', 'linux'),
  off('IOMMU_DEFAULT_DMA_LAZY', 'devices could access memory for a while after its reuse', 'kspp'),
  on('INTEL_IOMMU', 'devices could access all memory on Intel machines', 'linux', {
    ...x86Only,
    or: [NO_IOMMU],
  }),
  on('INTEL_IOMMU_DEFAULT_ON', 'the protection would be off by default', 'kspp', x86Only),
  on(
    'INTEL_IOMMU_SVM',
    'devices could not be confined to one process’s addresses',
    'kspp',
    x86Only,
  ),
  on('AMD_IOMMU', 'devices could access all memory on AMD machines', 'linux', {
    ...x86Only,
    or: [NO_IOMMU],
  }),
  on('ARM_SMMU', 'devices could access all memory', 'linux', armOnly),
  on('ARM_SMMU_V3', 'devices could access all memory', 'linux', armOnly),
  on(
    'ARM_SMMU_DISABLE_BYPASS_BY_DEFAULT',
    'unconfigured devices could access all memory',
    'linux',
    armOnly,
  ),
  on('EFI_DISABLE_PCI_DMA', 'devices could access memory until the IOMMU is set up', 'kspp', {
    or: [config('EFI', 'n')],
  }),
  on('RESET_ATTACK_MITIGATION', 'memory contents could be read after a reset', 'kspp', {
    or: [config('EFI', 'n')],
  }),
  on('HW_RANDOM_TPM', 'the TPM’s random numbers would not be used', 'kspp'),
];
