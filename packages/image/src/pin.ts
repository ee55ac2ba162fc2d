import type { SourceFile } from '@lkt/core';
import { familiarReference } from '@lkt/oci';
import { imageReferencesOf, parseConfig } from './config/config.ts';

/**
 * The text of an image config with the references to packages of the workspace as they are now. Everything else,
 * comments and layout too, stays as it is.
 * @param currentReference the reference with digest of the package `org/image`, or undefined for what is no package of
 * the workspace
 */
export function pinConfig(
  file: SourceFile,
  currentReference: (name: string) => string | undefined,
): string {
  const edits: { readonly start: number; readonly end: number; readonly text: string }[] = [];
  for (const { reference, at } of imageReferencesOf(parseConfig(file))) {
    if (reference === undefined || at.range === undefined) continue;
    const { domain, path } = reference;
    const current = currentReference(familiarReference({ domain, path }));
    if (current === undefined) continue;
    const [start, end] = at.range;
    const quote = /^["']/.exec(file.text.slice(start, end))?.[0] ?? '';
    edits.push({ start, end, text: `${quote}${current}${quote}` });
  }
  let text = file.text;
  for (const { start, end, text: replacement } of edits.toSorted((a, b) => b.start - a.start))
    text = text.slice(0, start) + replacement + text.slice(end);
  return text;
}
