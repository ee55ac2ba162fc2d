import { config, type KernelRule, off, on, onArm, onX86, rule } from './rule.ts';

const NO_MODULES = config('MODULES', 'n');
const NO_IOMMU = config('IOMMU_SUPPORT', 'n');

/** The kernel's own memory: what is found in it, and what becomes of it when a flaw is used. */
export const MEMORY_RULES: readonly KernelRule[] = [
  on('BUG', 'without it, the checks that end a faulty process end nothing', 'linux'),
  on('STRICT_KERNEL_RWX', 'code of the kernel could be written, data of it run', 'kspp'),
  on('STRICT_MODULE_RWX', 'the same for modules', 'kspp', { or: [NO_MODULES] }),
  on('DEBUG_WX', 'nobody would be told of memory that is written and run', 'kspp'),
  on('WERROR', 'a warning of the compiler is often a flaw', 'linux'),
  on('RANDOMIZE_BASE', 'the kernel would always be at the same address', 'kspp'),
  on('RANDOMIZE_MEMORY', 'so would its map of all memory', 'kspp', onX86),
  on(
    'RODATA_FULL_DEFAULT_ENABLED',
    'read-only data could be written by its other address',
    'linux',
    onArm,
  ),
  on('THREAD_INFO_IN_TASK', 'what a process is allowed would be in reach of its stack', 'linux'),

  on(
    'STACKPROTECTOR',
    'a buffer that overflows on the stack would change where its function returns to',
    'kspp',
  ),
  on('STACKPROTECTOR_STRONG', 'only functions with large buffers would be guarded', 'kspp'),
  on('STACKPROTECTOR_PER_TASK', 'all processes would have one canary', 'linux', onArm),
  on('VMAP_STACK', 'a stack that overflows would go on in what is next to it', 'kspp'),
  on('SCHED_STACK_END_CHECK', 'that a stack has overflowed would not be seen', 'kspp'),
  on(
    'RANDOMIZE_KSTACK_OFFSET_DEFAULT',
    'what is on the stack would be at the same place in every system call',
    'kspp',
  ),
  on('INIT_STACK_ALL_ZERO', 'variables would have what the last call has left', 'kspp'),
  on(
    'GCC_PLUGIN_STACKLEAK',
    'what a system call has left on the stack could be read by the next',
    'kspp',
    {
      or: [config('KSTACK_ERASE', 'y')],
    },
  ),
  off('STACKLEAK_METRICS', 'it shows in /proc how deep the stacks of others are', 'kspp'),
  off('STACKLEAK_RUNTIME_DISABLE', 'wiping stacks could be turned off', 'kspp'),
  on(
    'ZERO_CALL_USED_REGS',
    'registers would carry values to where they are of use to an attack',
    'kspp',
  ),
  on('SHADOW_CALL_STACK', 'return addresses would be on the stack alone', 'kspp', onArm),

  on('SLUB_DEBUG', 'the allocator could not check itself', 'linux'),
  on('SLAB_FREELIST_RANDOM', 'which object comes after which could be foreseen', 'kspp'),
  on(
    'SLAB_FREELIST_HARDENED',
    'who writes past an object could choose where the next one is',
    'kspp',
  ),
  off('SLAB_MERGE_DEFAULT', 'objects of different kinds would be neighbours', 'kspp'),
  on(
    'RANDOM_KMALLOC_CACHES',
    'objects of one size would share a cache, whoever asks for them',
    'kspp',
    { since: [6, 6] },
  ),
  on('SLAB_BUCKETS', 'what users fill would be beside what the kernel trusts', 'kspp', {
    since: [6, 11],
  }),
  on('SHUFFLE_PAGE_ALLOCATOR', 'which page comes after which could be foreseen', 'kspp'),
  on('INIT_ON_ALLOC_DEFAULT_ON', 'memory would be given out with what was in it', 'kspp'),
  on('INIT_ON_FREE_DEFAULT_ON', 'what is no longer used would stay readable', 'kspp'),
  on('KFENCE', 'use after free and overflows would be met by nobody', 'kspp'),
  rule(
    'kconfig',
    'KFENCE_SAMPLE_INTERVAL',
    config('KFENCE_SAMPLE_INTERVAL', '100'),
    'too few objects would be watched',
    'kspp',
  ),
  on('PAGE_TABLE_CHECK', 'a page could be the user’s and the kernel’s at once', 'kspp', {
    since: [5, 17],
  }),
  on('PAGE_TABLE_CHECK_ENFORCED', 'it would have to be asked for', 'kspp', { since: [5, 17] }),
  on(
    'KASAN_HW_TAGS',
    'pointers would not be compared with the tag of what they point to',
    'kspp',
    onArm,
  ),

  on('HARDENED_USERCOPY', 'more could be copied to the user than the object has', 'kspp'),
  on('HARDENED_USERCOPY_DEFAULT_ON', 'it would have to be asked for', 'kspp', { since: [6, 17] }),
  on(
    'FORTIFY_SOURCE',
    'string functions would write past what the compiler knows the size of',
    'kspp',
  ),
  on('UBSAN_BOUNDS', 'arrays would be read and written past their end', 'kspp'),
  on('UBSAN_TRAP', 'a message would be all that happens', 'kspp'),
  off('UBSAN_SHIFT', 'as a trap it ends what does no harm', 'kspp'),
  off('UBSAN_BOOL', 'as a trap it ends what does no harm', 'kspp'),
  off('UBSAN_ENUM', 'as a trap it ends what does no harm', 'kspp'),
  off('UBSAN_DIV_ZERO', 'as a trap it ends what does no harm', 'kspp'),
  off('UBSAN_UNREACHABLE', 'as a trap it ends what does no harm', 'kspp'),
  off('UBSAN_SIGNED_WRAP', 'as a trap it ends what does no harm', 'kspp'),
  off('UBSAN_ALIGNMENT', 'as a trap it ends what does no harm', 'kspp'),
  on('LIST_HARDENED', 'a list with a forged neighbour would write where the attack wants', 'kspp', {
    or: [config('DEBUG_LIST', 'y')],
  }),
  on('DEBUG_VIRTUAL', 'wrong addresses would be translated all the same', 'kspp'),
  on('DEBUG_SG', 'lists of pages for devices would not be checked', 'kspp'),
  on('DEBUG_NOTIFIERS', 'functions outside of the kernel’s code would be called', 'kspp', {
    or: [config('CFI_CLANG', 'y')],
  }),
  on('BUG_ON_DATA_CORRUPTION', 'the kernel would go on with structures that are broken', 'kspp'),
  on('RANDSTRUCT_FULL', 'structures would be laid out as everybody knows', 'kspp', {
    or: [config('GCC_PLUGIN_RANDSTRUCT', 'y')],
  }),
  on(
    'GCC_PLUGIN_LATENT_ENTROPY',
    'there would be less to make random numbers from when the machine starts',
    'kspp',
    {
      or: [config('CC_IS_GCC', 'n')],
    },
  ),
  on(
    'CFI_CLANG',
    'a pointer to a function could lead to any place, not only to functions of its type',
    'kspp',
    { since: [6, 1] },
  ),
  off('CFI_PERMISSIVE', 'a message would be all that happens', 'kspp'),

  rule(
    'kconfig',
    'DEFAULT_MMAP_MIN_ADDR',
    config('DEFAULT_MMAP_MIN_ADDR', '65536'),
    'a user’s page could stand where a null pointer leads',
    'kspp',
  ),
  rule(
    'kconfig',
    'LSM_MMAP_MIN_ADDR',
    config('LSM_MMAP_MIN_ADDR', '65536'),
    'with CAP_SYS_RAWIO it could all the same',
    'kspp',
  ),

  on('IOMMU_SUPPORT', 'devices would reach all memory', 'linux'),
  on(
    'IOMMU_DEFAULT_DMA_STRICT',
    'devices would reach memory for a while after it has another use',
    'kspp',
    { or: [NO_IOMMU] },
  ),
  off('IOMMU_DEFAULT_PASSTHROUGH', 'devices would reach all memory', 'linux'),
  off(
    'IOMMU_DEFAULT_DMA_LAZY',
    'devices would reach memory for a while after it has another use',
    'kspp',
  ),
  on('INTEL_IOMMU', 'devices would reach all memory on Intel’s machines', 'linux', {
    ...onX86,
    or: [NO_IOMMU],
  }),
  on('INTEL_IOMMU_DEFAULT_ON', 'it would have to be asked for', 'kspp', onX86),
  on(
    'INTEL_IOMMU_SVM',
    'devices that share a process’s addresses would have those of others',
    'kspp',
    onX86,
  ),
  on('AMD_IOMMU', 'devices would reach all memory on AMD’s machines', 'linux', {
    ...onX86,
    or: [NO_IOMMU],
  }),
  on('ARM_SMMU', 'devices would reach all memory', 'linux', onArm),
  on('ARM_SMMU_V3', 'devices would reach all memory', 'linux', onArm),
  on(
    'ARM_SMMU_DISABLE_BYPASS_BY_DEFAULT',
    'devices nobody has set up would reach all memory',
    'linux',
    onArm,
  ),
  on(
    'EFI_DISABLE_PCI_DMA',
    'devices would reach memory until the kernel has set up its IOMMU',
    'kspp',
    { or: [config('EFI', 'n')] },
  ),
  on('RESET_ATTACK_MITIGATION', 'what was in memory could be read after a sudden restart', 'kspp', {
    or: [config('EFI', 'n')],
  }),
  on('HW_RANDOM_TPM', 'a TPM’s random numbers would not be used', 'kspp'),
];
