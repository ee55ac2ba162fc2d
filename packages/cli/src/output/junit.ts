import type { CheckResult, MachineTestRun } from '../machines/machine-tests.ts';

/** Returns the results of an image's checks in the form of JUnit, as CI services read it. */
export function junitReport(image: string, { checks, console, seconds }: MachineTestRun): string {
  const count = (outcome: CheckResult['outcome']): number =>
    checks.filter((check) => check.outcome === outcome).length;
  const counts = `tests="${checks.length}" failures="${count('failed')}" skipped="${count('skipped')}" errors="0" time="${seconds}"`;
  const name = escaped(image);
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites ${counts}>
  <testsuite name="${name}" ${counts}>
${checks.map((check) => testCase(name, check)).join('\n')}
    <system-out>${escaped(console.join('\n'))}</system-out>
  </testsuite>
</testsuites>
`;
}

function testCase(suite: string, { name, outcome, seconds, reason = '' }: CheckResult): string {
  const start = `    <testcase classname="${suite}" name="${escaped(name)}" time="${seconds}"`;
  if (outcome === 'passed') return `${start}/>`;
  const element = outcome === 'failed' ? 'failure' : 'skipped';
  return `${start}><${element} message="${escaped(reason)}"/></testcase>`;
}

/** Escapes text for XML 1.0, which has no control characters. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\ufffe\uffff]/gu, (char) => (char === '\n' ? char : '?'))
    .replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
