import type { PinChange } from '@lkt/pkg';

/** Returns changes of pins as text. An addition has no old reference, a removal no new one. */
export function pinLines(changes: readonly PinChange[]): readonly string[] {
  return changes.map(({ file, line, from, to }) =>
    [`${file}:${line}:`, from && `  - ${from}`, to && `  + ${to}`].filter(Boolean).join('\n'),
  );
}
