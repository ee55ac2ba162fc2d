import { gunzipSync } from 'node:zlib';
import { LktError } from '@lkt/core';

/** Architectures with rules. */
export type KernelArch = 'x86_64' | 'arm64';

/** A kernel configuration, as its build writes it to `.config`. */
export interface KernelConfig {
  readonly arch: KernelArch;
  /** `6.12.107` */
  readonly version: string;
  /** Values of the set symbols, keyed without `CONFIG_`; strings keep their quotes. */
  readonly symbols: ReadonlyMap<string, string>;
  /** Symbols "not set": the kernel has them and their dependencies are satisfied. */
  readonly unset: ReadonlySet<string>;
}

/** A kernel's configuration, parameters and sysctls; undefined if unknown. */
export interface KernelFacts {
  readonly config?: KernelConfig | undefined;
  readonly parameters?: ReadonlyMap<string, string> | undefined;
  readonly sysctls?: ReadonlyMap<string, string> | undefined;
}

const ARCHES = new Map<string, KernelArch>([
  ['x86', 'x86_64'],
  ['x86_64', 'x86_64'],
  ['arm64', 'arm64'],
]);
/** Bytes. Bounds untrusted input; no config is longer. */
const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/**
 * Parses a `.config`, or a `config.gz` as in `/proc`.
 * @param name of the file, for messages
 * @throws CONFIG_INVALID with the line
 */
export function parseKernelConfig(name: string, bytes: Uint8Array): KernelConfig {
  const lines = unzipped(name, bytes).toString('latin1').split('\n');
  const symbols = new Map<string, string>();
  const unset = new Set<string>();
  let arch: KernelArch | undefined;
  let version: string | undefined;
  for (const [index, line] of lines.entries()) {
    const head = /^# Linux\/(\S+) (\d+\.\d+\S*) Kernel Configuration$/.exec(line);
    if (head !== null) {
      [, , version] = head;
      arch = ARCHES.get(head[1] ?? '');
      if (arch === undefined)
        throw invalid(
          name,
          index,
          `is for the unsupported architecture ${head[1]}`,
          'use a config for x86_64 or arm64',
        );
      continue;
    }
    const not = /^# CONFIG_(\w+) is not set$/.exec(line)?.[1];
    if (not !== undefined) unset.add(not);
    if (line === '' || line.startsWith('#')) continue;
    const set = /^CONFIG_(\w+)=(.+)$/.exec(line);
    if (set === null) throw invalid(name, index, 'is neither a comment nor CONFIG_NAME=value');
    const [, symbol = '', value = ''] = set;
    if (symbols.has(symbol)) throw invalid(name, index, `CONFIG_${symbol} is set twice`);
    symbols.set(symbol, value);
  }
  if (arch === undefined || version === undefined)
    throw invalid(
      name,
      0,
      'has no line "# Linux/… Kernel Configuration"',
      'pass the .config of a kernel build',
    );
  return { arch, version, symbols, unset };
}

/**
 * Returns the parameters of a command line. The last of a name wins; `-` and `_` are equal in
 * names.
 */
export function parseCommandLine(text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  // Quoted text may contain blanks.
  for (const [word] of text.matchAll(/(?:[^\s"]|"[^"]*")+/g)) {
    if (word === '--') break;
    const at = word.indexOf('=');
    const name = (at === -1 ? word : word.slice(0, at)).replaceAll('-', '_');
    parameters.set(name, at === -1 ? '' : word.slice(at + 1));
  }
  return parameters;
}

/**
 * Returns the sysctls that the kernel sets before it starts PID 1: `sysctl.NAME=VALUE`
 * (kernel-parameters.txt).
 */
export function sysctlsOfParameters(
  parameters: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const [name, value] of parameters) {
    const key = /^"?sysctl[./](.+)$/.exec(name)?.[1];
    // The kernel ignores empty values.
    if (key !== undefined && value !== '')
      settings.set(key.replaceAll('/', '.'), value.replaceAll('"', ''));
  }
  return settings;
}

/**
 * Parses a file of sysctl.d(5), or the output of `sysctl -a`. The last value of a key wins.
 * @param name of the file, for messages
 * @throws CONFIG_INVALID with the line
 */
export function parseSysctls(name: string, text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue;
    const at = line.indexOf('=');
    const key = line.slice(0, at).trim().replace(/^-/, '').trim();
    if (at === -1 || key === '') throw invalid(name, index, 'is not "key = value"');
    settings.set(
      key.includes('/') && !key.includes('.') ? key.replaceAll('/', '.') : key,
      line.slice(at + 1).trim(),
    );
  }
  return settings;
}

function unzipped(name: string, bytes: Uint8Array): Buffer {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return Buffer.from(bytes);
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_CONFIG_BYTES });
  } catch (cause) {
    throw new LktError('CONFIG_INVALID', `${name} is a truncated or damaged gzip file`, { cause });
  }
}

function invalid(name: string, index: number, what: string, fix?: string): LktError {
  return new LktError(
    'CONFIG_INVALID',
    `${name}:${index + 1}: ${what}`,
    fix === undefined ? {} : { fix },
  );
}
