import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { lkt, root } from './lkt.ts';
import type { ProbeReport } from './probe.ts';

/** The fragments of kernel/config that configure kernel/linux. */
const FRAGMENTS = ['base', 'x86_64', 'kvm', 'storage', 'net', 'containers', 'hardening'];
const SYMBOL = /^(?:CONFIG_\w+=.+|# CONFIG_\w+ is not set)$/gm;

/** Returns the kernel configuration that kernel/config requests, a line of `.config` per symbol. */
export function askedOfKernel(): readonly string[] {
  return FRAGMENTS.flatMap(
    (name) => readFileSync(join(root, `kernel/config/${name}.config`), 'utf8').match(SYMBOL) ?? [],
  );
}

/** Returns those lines of `asked` that do not hold in the guest's /proc/config.gz. */
export function missingIn(report: ProbeReport, asked: readonly string[]): readonly string[] {
  const text = gunzipSync(configOf(report)).toString('latin1');
  const set = new Set(text.split('\n'));
  return asked.filter((line) =>
    line.startsWith('#') ? text.includes(`\n${line.split(' ')[1]}=`) : !set.has(line),
  );
}

/**
 * Returns the verdicts of `lkt audit kernel` on a config, before any boot: `RULE true` or `RULE
 * false`, ignoring waivers.
 */
export async function foretold(config: string): Promise<readonly string[]> {
  const done = await lkt(['audit', 'kernel', '--json', config]);
  if (done.status !== 0) throw new Error(done.stdout);
  return verdictsOf(done.stdout);
}

/**
 * Returns the verdicts on a running guest. Writes its command line, parameters and configuration to
 * `dir`.
 */
export async function toldBy(report: ProbeReport, dir: string): Promise<readonly string[]> {
  const written = (name: string, content: string | Buffer): string => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const cmdline = written('cmdline', told(report, 'cmdline'));
  const sysctls = written('sysctls', told(report, 'sysctl'));
  const config = written('config.gz', configOf(report));
  const flags = ['--json', '--cmdline', cmdline, '--sysctl', sysctls];
  return verdictsOf((await lkt(['audit', 'kernel', ...flags, config])).stdout);
}

/** Returns the probe's facts of one kind, a line each. */
function told({ facts }: ProbeReport, word: string): string {
  const lines = facts.filter((fact) => fact.startsWith(`${word} `));
  return lines.map((line) => line.slice(word.length + 1)).join('\n');
}

/** Joins /proc/config.gz, which the probe prints in pieces. */
function configOf(report: ProbeReport): Buffer {
  return Buffer.from(told(report, 'config'), 'base64');
}

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
