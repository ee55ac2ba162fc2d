export {
  type AuditOptions,
  auditFiles,
  type FilesReport,
  type FilesToAudit,
} from './audit-files.ts';
export { auditElf, type ElfReport } from './elf/audit-elf.ts';
export { isElf, type RandomAccess } from './elf/elf-file.ts';
export { type ElfFacts } from './elf/facts.ts';
export { fileAccess } from './elf/file-access.ts';
export { ELF_RULES, type ElfRule } from './elf/rules.ts';
export { auditKernel, KERNEL_RULES, type KernelVerdict } from './kernel/audit-kernel.ts';
export { compareKernelConfigs, type ConfigChanges } from './kernel/compare-configs.ts';
export {
  type KernelArch,
  type KernelConfig,
  type KernelFacts,
  parseCommandLine,
  parseKernelConfig,
  parseSysctls,
  sysctlsOfParameters,
} from './kernel/facts.ts';
export { type Finding, type RootfsRule } from './rootfs/rules.ts';
export {
  applyWaivers,
  type KernelWaiver,
  parseWaivers,
  waiveKernel,
  type Waiver,
  type Waivers,
} from './waivers.ts';
