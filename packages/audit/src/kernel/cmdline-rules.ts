import { type KernelRule, parseRules } from './rule.ts';

/** Parameters whose value `off` disables a mitigation; other values refine the default. */
const MITIGATIONS = `
spectre_v2 spectre_v2_user spectre_bhi spec_store_bypass_disable l1tf mds tsx_async_abort srbds
mmio_stale_data retbleed spec_rstack_overflow gather_data_sampling reg_file_data_sampling
indirect_target_selection tsa vmscape`
  .trim()
  .split(/\s+/)
  .map((name) => {
    const values = ['on', 'auto', 'full', 'force'].map((value) => `${name}=${value}`).join(' or ');
    const reason = 'a CPU vulnerability would not be mitigated';
    return `mitigations x86_64 | ${values} or no ${name} | ${reason}`;
  })
  .join('\n');

/** Rules for the command line: parameters that disable protection, and those that add it. */
export const CMDLINE_RULES: readonly KernelRule[] = parseRules(
  'cmdline',
  `
linux              | no nokaslr | the kernel would load at a fixed address
linux              | no no_hash_pointers | messages would contain real addresses
linux              | no norandmaps | programs would load at fixed addresses
grapheneos         | no sysrq_always_enabled | console keys would control the kernel
kspp               | no slab_merge | objects of different types would share caches
kspp               | no slub_merge | objects of different types would share caches
linux x86_64       | no nosmep | a protection of the processor would not be used
linux x86_64       | no nosmap | a protection of the processor would not be used
linux x86_64       | no clearcpuid | a protection of the processor would not be used
mitigations x86_64 | no nopti | a CPU vulnerability would not be mitigated
mitigations x86_64 | no nospectre_v1 | a CPU vulnerability would not be mitigated
mitigations x86_64 | no nospec_store_bypass_disable | a CPU vulnerability would not be mitigated
mitigations x86_64 | no dis_ucode_ldr | a CPU vulnerability would not be mitigated
mitigations        | no nospectre_v2 | a CPU vulnerability would not be mitigated
mitigations arm64  | no nospectre_bhb | a CPU vulnerability would not be mitigated
linux arm64        | no arm64.nobti | a protection of the processor would not be used
linux arm64        | no arm64.nopauth | a protection of the processor would not be used
linux arm64        | no arm64.nomte | a protection of the processor would not be used
${MITIGATIONS}
linux              | no rodata or rodata=on or rodata=full | read-only data of the kernel would be writable
kspp x86_64        | mitigations=auto,nosmt | SMT would stay on where only turning it off helps
mitigations arm64  | no mitigations or mitigations=auto | a CPU vulnerability would not be mitigated
kspp x86_64        | nosmt | a thread can observe the other thread of its core
kspp x86_64        | pti=on | kernel addresses can be measured even on CPUs without Meltdown
kspp               | page_alloc.shuffle=1 | the order of free pages would be predictable
kspp 6.17          | hash_pointers=always | slab_debug would print real addresses
kspp               | slab_nomerge or CONFIG_SLAB_MERGE_DEFAULT is not set and no slab_nomerge | objects of different types would share caches
kspp               | init_on_alloc=1 or CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y and no init_on_alloc | allocated memory would contain old data
kspp               | init_on_free=1 or CONFIG_INIT_ON_FREE_DEFAULT_ON=y and no init_on_free | freed memory would keep its data
kspp               | no hardened_usercopy or hardened_usercopy=1 or hardened_usercopy=on | copies to user space could exceed the object
kspp               | kfence.sample_interval=100 or CONFIG_KFENCE_SAMPLE_INTERVAL=100 and no kfence.sample_interval | too few objects would be sampled
kspp               | randomize_kstack_offset=on or CONFIG_RANDOMIZE_KSTACK_OFFSET_DEFAULT=y and no randomize_kstack_offset | kernel stack offsets would be equal in every system call
kspp               | lockdown=confidentiality or CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y and no lockdown | root could change the running kernel
kspp               | module.sig_enforce=1 or CONFIG_MODULE_SIG_FORCE=y and no module.sig_enforce or CONFIG_MODULES is not set | any module could be loaded
kspp               | efi=disable_early_pci_dma or CONFIG_EFI_DISABLE_PCI_DMA=y and no efi or CONFIG_EFI is not set | devices could access memory until the IOMMU is set up
kspp               | iommu.passthrough=0 or CONFIG_IOMMU_DEFAULT_PASSTHROUGH is not set and no iommu.passthrough | devices could access all memory
kspp               | iommu.strict=1 or CONFIG_IOMMU_DEFAULT_DMA_STRICT=y and no iommu.strict | devices could access memory for a while after its reuse
kspp x86_64        | intel_iommu=on or CONFIG_INTEL_IOMMU_DEFAULT_ON=y and no intel_iommu | devices could access all memory on Intel machines
linux x86_64       | amd_iommu=on or amd_iommu=force_isolation or no amd_iommu | devices could access all memory on AMD machines
kspp x86_64        | cfi=kcfi or CONFIG_CFI_AUTO_DEFAULT is not set and no cfi or CONFIG_CFI_CLANG is not set | the caller could bypass the check of function types
kspp x86_64        | tsx=off or CONFIG_X86_INTEL_TSX_MODE_OFF=y and no tsx | transactions enable several attacks
kspp x86_64        | vsyscall=none or CONFIG_LEGACY_VSYSCALL_NONE=y and no vsyscall or CONFIG_X86_VSYSCALL_EMULATION is not set | every process would have code at a known address
kspp x86_64        | vdso32=0 or CONFIG_COMPAT_VDSO is not set and no vdso32 | programs of 32 bits would have code at a known address
kspp x86_64        | ia32_emulation=0 or CONFIG_IA32_EMULATION is not set and no ia32_emulation | system calls for 32-bit programs are less reviewed
grsecurity         | debugfs=off or CONFIG_DEBUG_FS is not set | it exposes the kernel’s memory
kspp 6.12          | proc_mem.force_override=never or CONFIG_PROC_MEM_NO_FORCE=y and no proc_mem.force_override | read-only process memory would be writable through /proc
`,
);
