import { fromRaw } from '@lkt/oci';
import type { Plan } from '../plan.ts';

/**
 * Warns of file capabilities that a format without extended attributes loses. Programs with them
 * would fail; other attributes rarely matter.
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
