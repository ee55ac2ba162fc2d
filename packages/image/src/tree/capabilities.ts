import { fromRaw } from '@lkt/oci';
import type { Plan } from '../plan.ts';

/**
 * Of a format without extended attributes. Most do not matter here; without capabilities a program can do less than it
 * should.
 */
export function warnOfCapabilities({ root, reporter }: Plan, format: string): void {
  for (const { path, part, xattrs } of root.entries.values()) {
    if (xattrs?.has('security.capability') !== true) continue;
    const label = root.parts[part]?.label ?? '';
    reporter.emit({
      kind: 'warning',
      text: `/${fromRaw(path)} of ${label} loses its file capabilities: ${format} cannot hold them`,
    });
  }
}
