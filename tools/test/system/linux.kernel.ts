import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boot } from './guest.ts';
import { lkt, root } from './lkt.ts';
import { probeReport, type ProbeReport } from './probe.ts';

const CONFIG = join(root, 'examples/hardened.yml');
const SYMBOL = /^(?:CONFIG_\w+=.+|# CONFIG_\w+ is not set)$/gm;

const dir = mkdtempSync(join(tmpdir(), 'lkt-linux-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let report: ProbeReport;

// Where the kernel is not in the store, it is compiled, and has to be what its pin says.
beforeAll(async () => {
  const probe = join(dir, 'probe.yml');
  const service = `services: [{name: probe, image: "@pkg:${join(root, 'tools/probe')}"}]\n`;
  writeFileSync(probe, service);
  const built = await lkt(['build', '--dir', dir, '--name', 'x', CONFIG, probe]);
  expect(built.status, built.stderr).toBe(0);
  await using guest = await boot(join(dir, 'x'));
  await guest.until('lkt: boot complete');
  await guest.until('=== END');
  report = probeReport(guest.console());
}, 7_200_000);

test('what the probe tries is refused', () => {
  expect(report.failed).toEqual([]);
  expect(report.passed).toBeGreaterThan(35);
});

test('the kernel has at most 7 MB', () => {
  expect(statSync(join(dir, 'x-kernel')).size).toBeLessThan(7_000_000);
});

test('what was asked of the kernel is in it', () => {
  const text = gunzipSync(configOf(report.facts)).toString('latin1');
  const set = new Set(text.split('\n'));
  const names = 'base x86_64 kvm storage net containers hardening'.split(' ');
  const asked = names.flatMap(
    (name) => readFileSync(join(root, `kernel/config/${name}.config`), 'utf8').match(SYMBOL) ?? [],
  );
  expect(asked.length).toBeGreaterThan(300);
  const missing = asked.filter((line) =>
    line.startsWith('#') ? text.includes(`\n${line.split(' ')[1]}=`) : !set.has(line),
  );
  expect(missing).toEqual([]);
});

test('what it says of itself is judged as the audit has foretold', async () => {
  const foretold = await lkt(['audit', 'kernel', '--json', CONFIG]);
  expect(foretold.status, foretold.stdout).toBe(0);
  const cmdline = written('cmdline', told(report.facts, 'cmdline'));
  const sysctls = written('sysctls', told(report.facts, 'sysctl'));
  const config = written('config.gz', configOf(report.facts));
  const asked = ['--json', '--cmdline', cmdline, '--sysctl', sysctls, config];
  const found = await lkt(['audit', 'kernel', ...asked]);
  const verdicts = verdictsOf(foretold.stdout);
  expect(verdicts.length).toBeGreaterThan(300);
  expect(verdictsOf(found.stdout)).toEqual(verdicts);
});

/** What the probe tells of one thing, a line for each time. */
function told(facts: readonly string[], word: string): string {
  const lines = facts.filter((fact) => fact.startsWith(`${word} `));
  return lines.map((line) => line.slice(word.length + 1)).join('\n');
}

/** /proc/config.gz, which the probe tells in pieces. */
function configOf(facts: readonly string[]): Buffer {
  return Buffer.from(told(facts, 'config'), 'base64');
}

function written(name: string, content: string | Buffer): string {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
}

/** Which rules hold, by what `lkt audit kernel --json` prints, whatever is waived. */
function verdictsOf(stdout: string): readonly string[] {
  interface Report {
    readonly kernels: readonly {
      readonly rules: readonly { readonly id: string; readonly holds: boolean }[];
    }[];
  }
  const printed = JSON.parse(stdout) as Report | { readonly error: { readonly report: Report } };
  const { kernels } = 'error' in printed ? printed.error.report : printed;
  return kernels.flatMap(({ rules }) => rules.map(({ id, holds }) => `${id} ${holds}`));
}
