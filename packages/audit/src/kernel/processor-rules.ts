import { type KernelRule, parseRules } from './rule.ts';

/** Rules for mitigations of CPU vulnerabilities, and for protections that processors offer. */
export const PROCESSOR_RULES: readonly KernelRule[] = parseRules(
  'kconfig',
  `
mitigations             | CONFIG_CPU_MITIGATIONS=y | no CPU vulnerability would be mitigated
mitigations x86_64      | CONFIG_MICROCODE=y | some vulnerabilities need new microcode
linux x86_64            | CONFIG_X86_MCE=y | hardware errors would go unreported
linux x86_64            | CONFIG_X86_MCE_INTEL=y or CONFIG_CPU_SUP_INTEL is not set | hardware errors would go unreported
linux x86_64            | CONFIG_X86_MCE_AMD=y or CONFIG_CPU_SUP_AMD is not set | hardware errors would go unreported
mitigations x86_64      | CONFIG_MITIGATION_PAGE_TABLE_ISOLATION=y | Meltdown: a process can read kernel memory
mitigations x86_64 6.12 | CONFIG_MITIGATION_SPECTRE_V1=y | Spectre: speculative loads can bypass bounds checks
mitigations x86_64 6.12 | CONFIG_MITIGATION_SPECTRE_V2=y | Spectre: a process can steer the kernel’s branch predictions
mitigations x86_64      | CONFIG_MITIGATION_SPECTRE_BHI=y or CONFIG_CPU_SUP_INTEL is not set | Spectre: branch history can steer branch predictions
mitigations x86_64      | CONFIG_MITIGATION_RETPOLINE=y | Spectre: the kernel’s indirect branches are predicted
mitigations x86_64      | CONFIG_MITIGATION_RETHUNK=y | Retbleed: the kernel’s returns are predicted
mitigations x86_64      | CONFIG_MITIGATION_RETBLEED=y or CONFIG_CPU_SUP_INTEL is not set | Retbleed: the kernel’s returns are predicted
mitigations x86_64      | CONFIG_MITIGATION_UNRET_ENTRY=y or CONFIG_CPU_SUP_AMD is not set | Retbleed on AMD processors
mitigations x86_64      | CONFIG_MITIGATION_IBPB_ENTRY=y or CONFIG_CPU_SUP_AMD is not set | Retbleed on AMD processors
mitigations x86_64      | CONFIG_MITIGATION_IBRS_ENTRY=y or CONFIG_CPU_SUP_INTEL is not set | Retbleed on Intel processors
mitigations x86_64      | CONFIG_MITIGATION_CALL_DEPTH_TRACKING=y or CONFIG_CPU_SUP_INTEL is not set | Retbleed on Intel processors
mitigations x86_64      | CONFIG_MITIGATION_SRSO=y or CONFIG_CPU_SUP_AMD is not set | Inception: a process can train return predictions
mitigations x86_64      | CONFIG_MITIGATION_SLS=y | code behind a jump runs speculatively
mitigations x86_64      | CONFIG_MITIGATION_SSB=y | a speculative load can see data from before a store
mitigations x86_64      | CONFIG_MITIGATION_MDS=y or CONFIG_CPU_SUP_INTEL is not set | CPU buffers can be sampled
mitigations x86_64      | CONFIG_MITIGATION_TAA=y or CONFIG_CPU_SUP_INTEL is not set | CPU buffers can be sampled through transactions
mitigations x86_64      | CONFIG_MITIGATION_MMIO_STALE_DATA=y or CONFIG_CPU_SUP_INTEL is not set | CPU buffers can be sampled through device memory
mitigations x86_64      | CONFIG_MITIGATION_L1TF=y or CONFIG_CPU_SUP_INTEL is not set | the cache can be read through absent pages
mitigations x86_64      | CONFIG_MITIGATION_SRBDS=y or CONFIG_CPU_SUP_INTEL is not set | another core’s random numbers can be sampled
mitigations x86_64      | CONFIG_MITIGATION_GDS=y or CONFIG_CPU_SUP_INTEL is not set | Downfall: other processes’ vector registers can be sampled
mitigations x86_64      | CONFIG_MITIGATION_RFDS=y or CONFIG_CPU_SUP_INTEL is not set | other processes’ registers can be sampled on small cores
mitigations x86_64      | CONFIG_MITIGATION_ITS=y or CONFIG_CPU_SUP_INTEL is not set | branches in the lower half of a cache line are predicted
mitigations x86_64      | CONFIG_MITIGATION_TSA=y or CONFIG_CPU_SUP_AMD is not set | other processes’ loads and buffers can be inferred
mitigations x86_64      | CONFIG_X86_INTEL_TSX_MODE_OFF=y or CONFIG_CPU_SUP_INTEL is not set | transactions enable several of these attacks
linux x86_64            | CONFIG_X86_KERNEL_IBT=y | an indirect jump could enter the middle of a function
linux x86_64            | CONFIG_X86_UMIP=y | a process could read the addresses of the kernel’s tables
kspp x86_64 6.6         | CONFIG_X86_USER_SHADOW_STACK=y | programs could not protect their return addresses
kspp                    | CONFIG_SCHED_CORE=y | programs that do not trust each other could share a core
mitigations arm64       | CONFIG_UNMAP_KERNEL_AT_EL0=y | Meltdown: a process can read kernel memory
mitigations arm64       | CONFIG_MITIGATE_SPECTRE_BRANCH_HISTORY=y | a process can steer the kernel’s branch predictions
linux arm64             | CONFIG_ARM64_PAN=y | the kernel could access user memory by accident
linux arm64             | CONFIG_ARM64_EPAN=y | the kernel could access execute-only memory by accident
kspp arm64              | CONFIG_ARM64_SW_TTBR0_PAN=y | processors without PAN would lack the emulation of it
linux arm64             | CONFIG_ARM64_E0PD=y | a process could detect kernel mappings by timing
linux arm64             | CONFIG_ARM64_PTR_AUTH=y | programs could not sign their return addresses
linux arm64             | CONFIG_ARM64_PTR_AUTH_KERNEL=y | the kernel would not sign its return addresses
linux arm64             | CONFIG_ARM64_BTI=y | a program’s jump could enter the middle of a function
linux arm64             | CONFIG_ARM64_BTI_KERNEL=y | a jump of the kernel could enter the middle of a function
linux arm64             | CONFIG_ARM64_MTE=y | programs could not tag their memory
kspp x86_64             | CONFIG_ARCH_MMAP_RND_BITS=32 | program addresses would be easier to guess
kspp arm64              | CONFIG_ARCH_MMAP_RND_BITS=33 or CONFIG_ARCH_MMAP_RND_BITS=24 or CONFIG_ARCH_MMAP_RND_BITS=18 | program addresses would be easier to guess
`,
);
