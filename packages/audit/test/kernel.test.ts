import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { auditKernel, KERNEL_RULES } from '../src/kernel/audit-kernel.ts';
import {
  parseCommandLine,
  parseKernelConfig,
  parseSysctls,
  sysctlsOfParameters,
} from '../src/kernel/facts.ts';
import { parseWaivers, waiveKernel } from '../src/waivers.ts';

const HEAD = '#\n# Linux/x86_64 6.12.107 Kernel Configuration\n#\n';

function config(...lines: readonly string[]): ReturnType<typeof parseKernelConfig> {
  return parseKernelConfig('.config', Buffer.from(`${HEAD}${lines.join('\n')}\n`));
}

/** Returns the result of one rule. */
function verdict(id: string, facts: Parameters<typeof auditKernel>[0]): boolean | undefined {
  return auditKernel(facts).find((found) => found.id === id)?.holds;
}

/** Reports whether freed memory is wiped, for a command line and a config. */
function freed(text: string, ...lines: readonly string[]): boolean | undefined {
  const facts = { config: config(...lines), parameters: parseCommandLine(text) };
  return verdict('cmdline:init_on_free', facts);
}

/** Reports whether kexec is disabled, for sysctls and a config. */
function kexec(text: string, ...lines: readonly string[]): boolean | undefined {
  const facts = { config: config(...lines), sysctls: parseSysctls('s', text) };
  return verdict('sysctl:kernel.kexec_load_disabled', facts);
}

describe('a config', () => {
  it('is parsed as written by the build and as in /proc', () => {
    const text = Buffer.from(`${HEAD}# CONFIG_A is not set\n\nCONFIG_B=y\nCONFIG_C="a b"\n`);
    for (const bytes of [text, gzipSync(text)]) {
      const { arch, version, symbols } = parseKernelConfig('c', bytes);
      expect({ arch, version, symbols: Object.fromEntries(symbols) }).toEqual({
        arch: 'x86_64',
        version: '6.12.107',
        symbols: { B: 'y', C: '"a b"' },
      });
    }
  });

  it.each([
    ['', /^c:1: has no line "# Linux/],
    ['CONFIG_A=y\n', /^c:1: has no line "# Linux/],
    [`${HEAD}CONFIG_A=y\nCONFIG_A=n\n`, /^c:5: CONFIG_A is set twice$/],
    [`${HEAD}\nwhat\n`, /^c:5: is neither a comment nor CONFIG_NAME=value$/],
    [
      '# Linux/riscv 6.12.1 Kernel Configuration\n',
      /^c:1: is for the unsupported architecture riscv$/,
    ],
    [gzipSync(HEAD).subarray(0, 20), /^c is a truncated or damaged gzip file$/],
  ])('rejects %j', (text, message) => {
    expect(() => parseKernelConfig('c', Buffer.from(text))).toThrow(message);
  });
});

describe('a command line', () => {
  it('is parsed as the kernel parses it', () => {
    const text = 'a b=1 c-d=2 e="x y" b=3 dm-mod.create="v,,0 1 verity" -- init=1\n';
    expect(Object.fromEntries(parseCommandLine(text))).toEqual({
      a: '',
      b: '3',
      c_d: '2',
      e: '"x y"',
      'dm_mod.create': '"v,,0 1 verity"',
    });
  });
});

describe('sysctls', () => {
  it('are parsed from sysctl.d and from sysctl -a', () => {
    const text = '# x\n; y\n\n kernel.a = 1\n-kernel.b=2 3\nkernel.a=4\nnet/ipv4/c = 5\n';
    expect(Object.fromEntries(parseSysctls('s', text))).toEqual({
      'kernel.a': '4',
      'kernel.b': '2 3',
      'net.ipv4.c': '5',
    });
  });

  it('include those of the kernel command line', () => {
    const text = 'a=1 sysctl.kernel.a=2 sysctl/net/ipv4/b=3 "sysctl.c=4 5" sysctl.d= sysctl.e';
    expect(Object.fromEntries(sysctlsOfParameters(parseCommandLine(text)))).toEqual({
      'kernel.a': '2',
      'net.ipv4.b': '3',
      c: '4 5',
    });
  });

  it('reject a line without a value', () => {
    expect(() => parseSysctls('s', '\nkernel.a\n')).toThrow(/^s:2: is not "key = value"$/);
  });
});

describe('rules', () => {
  it('have unique ids per architecture, and a reason', () => {
    for (const arch of ['x86_64', 'arm64'] as const) {
      const ids = KERNEL_RULES.filter(({ arches }) => arches?.includes(arch) ?? true).map(
        ({ id }) => id,
      );
      expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
      expect(ids.length).toBeGreaterThan(250);
    }
    for (const { reason } of KERNEL_RULES) expect(reason).toMatch(/^[a-zA-Z].{15,}[^.]$/);
  });

  it('require symbols to be on, off, or to have a value', () => {
    expect(verdict('kconfig:VMAP_STACK', { config: config('CONFIG_VMAP_STACK=y') })).toBe(true);
    expect(verdict('kconfig:VMAP_STACK', { config: config('CONFIG_A=y') })).toBe(false);
    expect(verdict('kconfig:DEVMEM', { config: config('CONFIG_A=y') })).toBe(true);
    expect(verdict('kconfig:DEVMEM', { config: config('CONFIG_DEVMEM=y') })).toBe(false);
    const lsm = { config: config('CONFIG_LSM="landlock,yama"') };
    expect(verdict('kconfig:LSM/yama', lsm)).toBe(true);
    expect(verdict('kconfig:LSM/lockdown', lsm)).toBe(false);
    // Signatures matter only for kernels with modules.
    expect(verdict('kconfig:MODULE_SIG', { config: config('CONFIG_MODULES=y') })).toBe(false);
    expect(verdict('kconfig:MODULE_SIG', { config: config('CONFIG_A=y') })).toBe(true);
  });

  it('of the command line consider the kernel’s defaults', () => {
    expect(freed('init_on_free=1')).toBe(true);
    expect(freed('quiet')).toBe(false);
    expect(freed('quiet', 'CONFIG_INIT_ON_FREE_DEFAULT_ON=y')).toBe(true);
    expect(freed('init_on_free=0', 'CONFIG_INIT_ON_FREE_DEFAULT_ON=y')).toBe(false);
    const off = { config: config(), parameters: parseCommandLine('mitigations=off mds=off') };
    expect(verdict('cmdline:mds', off)).toBe(false);
    expect(verdict('cmdline:l1tf', off)).toBe(true);
    expect(verdict('cmdline:mitigations', off)).toBe(false);
  });

  it('of sysctls consider the kernel’s features', () => {
    expect(kexec('kernel.kexec_load_disabled = 1', 'CONFIG_KEXEC_CORE=y')).toBe(true);
    expect(kexec('', 'CONFIG_KEXEC_CORE=y')).toBe(false);
    expect(kexec('', 'CONFIG_A=y')).toBe(true);
  });

  it('apply only to the known facts and architecture', () => {
    expect(new Set(auditKernel({ config: config() }).map(({ kind }) => kind))).toEqual(
      new Set(['kconfig']),
    );
    const old = parseKernelConfig('c', Buffer.from('# Linux/x86 6.1.5 Kernel Configuration\n'));
    expect(verdict('kconfig:SLAB_BUCKETS', { config: old })).toBeUndefined();
    expect(verdict('kconfig:SLAB_BUCKETS', { config: config() })).toBe(false);
    const arm = parseKernelConfig('c', Buffer.from('# Linux/arm64 6.12.5 Kernel Configuration\n'));
    expect(verdict('kconfig:ARM64_BTI_KERNEL', { config: arm })).toBe(false);
    expect(verdict('kconfig:X86_UMIP', { config: arm })).toBeUndefined();
  });
});

describe('waivers', () => {
  const verdicts = auditKernel({ config: config('CONFIG_USER_NS=y', 'CONFIG_KSM=y') });
  const waived = (image: string | undefined, rules: string): readonly string[] =>
    waiveKernel(
      verdicts,
      parseWaivers({
        path: 'w.yml',
        text: `kernel: [{rules: [${rules}], images: [lkt/linux], reason: containers need it}]`,
      }).kernels,
      image,
    ).flatMap(({ id, waived: reason }) => (reason === undefined ? [] : [id]));

  it('apply to the rules and kernels that they name, if the rule does not hold', () => {
    expect(waived('lkt/linux', 'kconfig:USER_NS, kconfig:DEVMEM')).toEqual(['kconfig:USER_NS']);
    expect(waived('lkt/other', 'kconfig:USER_NS')).toEqual([]);
    expect(waived(undefined, 'kconfig:USER_NS')).toEqual([]);
  });

  it('reject unknown rules', () => {
    expect(() => waived('lkt/linux', 'kconfig:USER_NX')).toThrow(
      /w.yml:1:19: .*"kconfig:USER_NX" is not a kernel rule/,
    );
  });
});
