export { auditArchives, auditImage } from './audit-archives.ts';
export { type FilesReport } from './audit-files.ts';
export { type ElfReport } from './elf/audit-elf.ts';
export { type ElfFacts } from './elf/facts.ts';
export { ELF_RULES, type ElfRule } from './elf/rules.ts';
export { auditHostFiles } from './host-files.ts';
export { requireWaived } from './require-waived.ts';
export {
  type KernelReport,
  reportKernel,
  requireKernelRules,
  type WaivedVerdict,
} from './kernel/report.ts';
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
  failedRules,
  type KernelWaiver,
  parseWaivers,
  type WaivedElf,
  type WaivedFinding,
  type Waiver,
  type Waivers,
} from './waivers.ts';
