import { type KernelRule, parseRules } from './rule.ts';

/** Rules for kernel memory: its protection, and the detection of corruption. */
export const MEMORY_RULES: readonly KernelRule[] = parseRules(
  'kconfig',
  `
linux        | CONFIG_BUG=y | failed sanity checks would not stop a faulty process
kspp         | CONFIG_STRICT_KERNEL_RWX=y | kernel code would be writable and kernel data executable
kspp         | CONFIG_STRICT_MODULE_RWX=y or CONFIG_MODULES is not set | module code would be writable and module data executable
kspp         | CONFIG_DEBUG_WX=y | writable and executable mappings would go unreported
linux        | CONFIG_WERROR=y | compiler warnings, which are often flaws, would be ignored
kspp         | CONFIG_RANDOMIZE_BASE=y | the kernel would load at a fixed address
kspp x86_64  | CONFIG_RANDOMIZE_MEMORY=y | the map of physical memory would be at a fixed address
linux arm64  | CONFIG_RODATA_FULL_DEFAULT_ENABLED=y | read-only data would be writable through its linear alias
linux        | CONFIG_THREAD_INFO_IN_TASK=y | a stack overflow could overwrite the thread’s state
kspp         | CONFIG_STACKPROTECTOR=y | a stack buffer overflow could change the return address
kspp         | CONFIG_STACKPROTECTOR_STRONG=y | only functions with large buffers would be protected
linux arm64  | CONFIG_STACKPROTECTOR_PER_TASK=y | all tasks would share one stack canary
kspp         | CONFIG_VMAP_STACK=y | a stack overflow would corrupt adjacent memory
kspp         | CONFIG_SCHED_STACK_END_CHECK=y | a stack overflow would go undetected
kspp         | CONFIG_RANDOMIZE_KSTACK_OFFSET_DEFAULT=y | kernel stack offsets would be equal in every system call
kspp         | CONFIG_INIT_STACK_ALL_ZERO=y | uninitialised variables would contain old stack data
kspp         | CONFIG_GCC_PLUGIN_STACKLEAK=y or CONFIG_KSTACK_ERASE=y | stack data of one system call could leak to the next
kspp         | CONFIG_STACKLEAK_METRICS is not set | it reveals the stack depth of other processes in /proc
kspp         | CONFIG_STACKLEAK_RUNTIME_DISABLE is not set | stack erasing could be turned off
kspp         | CONFIG_ZERO_CALL_USED_REGS=y | stale register values would help code-reuse attacks
kspp arm64   | CONFIG_SHADOW_CALL_STACK=y | return addresses would have no protected copy
linux        | CONFIG_SLUB_DEBUG=y | the slab allocator could not check itself
kspp         | CONFIG_SLAB_FREELIST_RANDOM=y | the order of heap objects would be predictable
kspp         | CONFIG_SLAB_FREELIST_HARDENED=y | a heap overflow could redirect the next allocation
kspp         | CONFIG_SLAB_MERGE_DEFAULT is not set | objects of different types would share caches
kspp 6.6     | CONFIG_RANDOM_KMALLOC_CACHES=y | objects of one size would share a cache across call sites
kspp 6.11    | CONFIG_SLAB_BUCKETS=y | user-controlled objects would share caches with kernel data
kspp         | CONFIG_SHUFFLE_PAGE_ALLOCATOR=y | the order of free pages would be predictable
kspp         | CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y | allocated memory would contain old data
kspp         | CONFIG_INIT_ON_FREE_DEFAULT_ON=y | freed memory would keep its data
kspp         | CONFIG_KFENCE=y | use-after-free and overflows would go undetected
kspp         | CONFIG_KFENCE_SAMPLE_INTERVAL=100 | too few objects would be sampled
kspp 5.17    | CONFIG_PAGE_TABLE_CHECK=y | a page could belong to a user and the kernel at once
kspp 5.17    | CONFIG_PAGE_TABLE_CHECK_ENFORCED=y | the protection would be off by default
kspp arm64   | CONFIG_KASAN_HW_TAGS=y | pointers would not be checked against memory tags
kspp         | CONFIG_HARDENED_USERCOPY=y | copies to user space could exceed the object
kspp 6.17    | CONFIG_HARDENED_USERCOPY_DEFAULT_ON=y | the protection would be off by default
kspp         | CONFIG_FORTIFY_SOURCE=y | string functions could overflow buffers of known size
kspp         | CONFIG_UBSAN_BOUNDS=y | out-of-bounds array accesses would go undetected
kspp         | CONFIG_UBSAN_TRAP=y | a violation would only be logged
kspp         | CONFIG_UBSAN_SHIFT is not set | as a trap it would stop harmless code
kspp         | CONFIG_UBSAN_BOOL is not set | as a trap it would stop harmless code
kspp         | CONFIG_UBSAN_ENUM is not set | as a trap it would stop harmless code
kspp         | CONFIG_UBSAN_DIV_ZERO is not set | as a trap it would stop harmless code
kspp         | CONFIG_UBSAN_UNREACHABLE is not set | as a trap it would stop harmless code
kspp         | CONFIG_UBSAN_SIGNED_WRAP is not set | as a trap it would stop harmless code
kspp         | CONFIG_UBSAN_ALIGNMENT is not set | as a trap it would stop harmless code
kspp         | CONFIG_LIST_HARDENED=y or CONFIG_DEBUG_LIST=y | a forged list entry would allow arbitrary writes
kspp         | CONFIG_DEBUG_VIRTUAL=y | invalid addresses would be translated unchecked
kspp         | CONFIG_DEBUG_SG=y | scatter-gather lists would not be checked
kspp         | CONFIG_DEBUG_NOTIFIERS=y or CONFIG_CFI_CLANG=y | notifiers outside of kernel code would be called
kspp         | CONFIG_BUG_ON_DATA_CORRUPTION=y | the kernel would continue with corrupted structures
kspp         | CONFIG_RANDSTRUCT_FULL=y or CONFIG_GCC_PLUGIN_RANDSTRUCT=y | structures would have a known layout
kspp         | CONFIG_GCC_PLUGIN_LATENT_ENTROPY=y or CONFIG_CC_IS_GCC is not set | less entropy would be available during boot
kspp 6.1     | CONFIG_CFI_CLANG=y | an indirect call could reach code other than functions of its type
kspp         | CONFIG_CFI_PERMISSIVE is not set | a violation would only be logged
kspp         | CONFIG_DEFAULT_MMAP_MIN_ADDR=65536 | a user could map the page at address zero
kspp         | CONFIG_LSM_MMAP_MIN_ADDR=65536 | CAP_SYS_RAWIO would still allow it to be mapped
linux        | CONFIG_IOMMU_SUPPORT=y | devices could access all memory
kspp         | CONFIG_IOMMU_DEFAULT_DMA_STRICT=y or CONFIG_IOMMU_SUPPORT is not set | devices could access memory for a while after its reuse
linux        | CONFIG_IOMMU_DEFAULT_PASSTHROUGH is not set | devices could access all memory
kspp         | CONFIG_IOMMU_DEFAULT_DMA_LAZY is not set | devices could access memory for a while after its reuse
linux x86_64 | CONFIG_INTEL_IOMMU=y or CONFIG_IOMMU_SUPPORT is not set | devices could access all memory on Intel machines
kspp x86_64  | CONFIG_INTEL_IOMMU_DEFAULT_ON=y | the protection would be off by default
kspp x86_64  | CONFIG_INTEL_IOMMU_SVM=y | devices could not be confined to one process’s addresses
linux x86_64 | CONFIG_AMD_IOMMU=y or CONFIG_IOMMU_SUPPORT is not set | devices could access all memory on AMD machines
linux arm64  | CONFIG_ARM_SMMU=y | devices could access all memory
linux arm64  | CONFIG_ARM_SMMU_V3=y | devices could access all memory
linux arm64  | CONFIG_ARM_SMMU_DISABLE_BYPASS_BY_DEFAULT=y | unconfigured devices could access all memory
kspp         | CONFIG_EFI_DISABLE_PCI_DMA=y or CONFIG_EFI is not set | devices could access memory until the IOMMU is set up
kspp         | CONFIG_RESET_ATTACK_MITIGATION=y or CONFIG_EFI is not set | memory contents could be read after a reset
kspp         | CONFIG_HW_RANDOM_TPM=y | the TPM’s random numbers would not be used
`,
);
