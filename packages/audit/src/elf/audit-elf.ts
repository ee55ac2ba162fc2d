import type { RandomAccess } from './elf-file.ts';
import { type ElfFacts, elfFacts } from './facts.ts';
import { ELF_RULES, type ElfRule } from './rules.ts';

/** What is to be said of an ELF file. */
export interface ElfReport {
  readonly path: string;
  readonly facts: ElfFacts;
  /** Every rule that is about the file, and whether it holds. */
  readonly rules: Readonly<Partial<Record<ElfRule['id'], boolean>>>;
}

/** @throws LktError ARCHIVE_INVALID for a file that breaks the format */
export async function auditElf(path: string, file: RandomAccess): Promise<ElfReport> {
  const facts = await elfFacts(file);
  const rules: Partial<Record<ElfRule['id'], boolean>> = {};
  for (const { id, holds } of ELF_RULES) {
    const result = holds(facts);
    if (result !== undefined) rules[id] = result;
  }
  return { path, facts, rules };
}
