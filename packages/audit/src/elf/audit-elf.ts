import type { RandomAccess } from './elf-file.ts';
import { type ElfFacts, elfFacts } from './facts.ts';
import { ELF_RULES, type ElfRule } from './rules.ts';

/** The facts about an ELF file and its rules. */
export interface ElfReport {
  readonly path: string;
  readonly facts: ElfFacts;
  /** Results of the rules that apply to the file. */
  readonly rules: Readonly<Partial<Record<ElfRule['id'], boolean>>>;
}

/**
 * Audits one ELF file.
 * @throws ARCHIVE_INVALID for a malformed file
 */
export async function auditElf(path: string, file: RandomAccess): Promise<ElfReport> {
  const facts = await elfFacts(file);
  const rules: Partial<Record<ElfRule['id'], boolean>> = {};
  for (const { id, holds } of ELF_RULES) {
    const result = holds(facts);
    if (result !== undefined) rules[id] = result;
  }
  return { path, facts, rules };
}
