import type { Reporter } from '@lkt/core';

/** Reports packages that need no look-up as cached. */
export function reportCached(reporter: Reporter, packages: readonly string[]): void {
  for (const name of packages) {
    const id = `package ${name}`;
    reporter.emit({ kind: 'start', id, title: name });
    reporter.emit({ kind: 'done', id, cached: true });
  }
}
