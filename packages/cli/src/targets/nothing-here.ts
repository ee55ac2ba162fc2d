import type { Reporter } from '@lkt/core';

/** Warns that the current directory has nothing that a command could act on. */
export function warnNothingHere(reporter: Reporter): void {
  reporter.emit({
    kind: 'warning',
    text: 'there are no packages and image configs here: lkt init makes a repository, lkt new adds to one',
  });
}
