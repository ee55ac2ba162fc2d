/** The output of tools/probe in a guest. */
export interface ProbeReport {
  readonly failed: readonly string[];
  readonly passed: number;
  readonly facts: readonly string[];
}

/** Parses the probe's failed TAP lines and facts. */
export function probeReport(console: string): ProbeReport {
  const text = console.slice(console.lastIndexOf('=== PROBE'), console.lastIndexOf('=== END'));
  const lines = text.split(/[\r\n]+/);
  return {
    failed: lines.filter((line) => line.startsWith('not ok ')),
    passed: lines.filter((line) => line.startsWith('ok ')).length,
    facts: lines.filter((line) => line.startsWith('# ')).map((line) => line.slice(2)),
  };
}
