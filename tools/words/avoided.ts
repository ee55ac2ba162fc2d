/** The words that docs/glossary.md rules out. */
export interface AvoidedWords {
  /** Identifiers that the code no longer uses, with the names that replace them. */
  readonly names: ReadonlyMap<string, string>;
  /** Phrases that no text uses, with what to write instead. */
  readonly phrases: ReadonlyMap<string, string>;
}

/**
 * Reads the lists "Names to avoid" and "Phrases to avoid" of the glossary. Only words in
 * backticks count; a name that is right in some contexts is listed without.
 *
 * @throws Error when a list is missing or empty
 */
export function avoidedWords(glossary: string): AvoidedWords {
  return {
    names: listUnder(glossary, 'Names to avoid'),
    phrases: listUnder(glossary, 'Phrases to avoid'),
  };
}

function listUnder(glossary: string, heading: string): ReadonlyMap<string, string> {
  const section = glossary.split(/^#+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const words = new Map<string, string>();
  for (const [, avoid = '', use = ''] of section.matchAll(/^- ([^:\n]*): (.*)$/gm))
    for (const [, word = ''] of avoid.matchAll(/`([^`]+)`/g)) words.set(word, use.trim());
  if (words.size === 0) throw new Error(`docs/glossary.md has no list under "${heading}"`);
  return words;
}
