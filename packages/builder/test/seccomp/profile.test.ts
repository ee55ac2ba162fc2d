import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CAPABILITIES } from '../../src/sandbox/sandbox.ts';
import { seccompFilter } from '../../src/seccomp/profile.ts';
import { interpret } from './interpret.ts';

/** Docker's own profile, of Debian's package golang-github-docker-docker-dev. */
const profile = JSON.parse(
  readFileSync(
    '/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json',
    'utf8',
  ),
) as { syscalls: Rule[] };

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly { index: number; value: number; valueTwo?: number; op: string }[] | null;
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;
const [EPERM, ENOSYS] = [1, 38];

/**
 * Returns the numbers in the kernel's headers of Debian's package linux-libc-dev. They do not name
 * ARM's private calls.
 */
function numbers(header: string, own: Readonly<Record<string, number>> = {}): Map<string, number> {
  const text = readFileSync(`/usr/include/${header}`, 'utf8');
  const lines = text.matchAll(
    /^#define __NR_(\w+)\s+\(?(?:(?:__X32_SYSCALL_BIT|__NR_SYSCALL_BASE) ?\+ ?)?(\d+)\)?$/gm,
  );
  return new Map([
    ...[...lines].map(([, name = '', number]) => [name, Number(number)] as const),
    ...Object.entries(own),
  ]);
}

const X32 = 0x4000_0000;
const ARM_OWN = {
  sync_file_range2: 341,
  breakpoint: 0xf_0001,
  cacheflush: 0xf_0002,
  set_tls: 0xf_0005,
};

const ABIS = [
  ['x86_64', 'x64', 'amd64', 0xc000_003e, 0, numbers('x86_64-linux-gnu/asm/unistd_64.h')],
  ['x32', 'x64', 'amd64', 0xc000_003e, X32, numbers('x86_64-linux-gnu/asm/unistd_x32.h')],
  ['i386', 'x64', 'amd64', 0x4000_0003, 0, numbers('x86_64-linux-gnu/asm/unistd_32.h')],
  ['aarch64', 'arm64', 'arm64', 0xc000_00b7, 0, numbers('aarch64-linux-gnu/asm/unistd_64.h')],
  [
    'arm',
    'arm64',
    'arm64',
    0x4000_0028,
    0,
    numbers('arm-linux-gnueabi/asm/unistd-eabi.h', ARM_OWN),
  ],
] as const;

/** Returns Docker's rules for a container with these capabilities on this architecture. */
function rulesFor(architecture: string, caps: readonly string[]): Rule[] {
  const holds = ({ caps: of, arches }: Condition): boolean =>
    (of === undefined || of.some((cap) => caps.includes(cap))) &&
    (arches === undefined || arches.includes(architecture));
  return profile.syscalls.filter(
    ({ includes = {}, excludes = {} }) =>
      holds(includes) && !(Object.keys(excludes).length > 0 && holds(excludes)),
  );
}

function matches(rule: Rule, args: readonly bigint[]): boolean {
  return (rule.args ?? []).every(({ index, value, valueTwo = 0, op }) => {
    const given = args[index] ?? 0n;
    switch (op) {
      case 'SCMP_CMP_EQ':
        return given === BigInt(value);
      case 'SCMP_CMP_NE':
        return given !== BigInt(value);
      case 'SCMP_CMP_MASKED_EQ':
        return (given & BigInt(value)) === BigInt(valueTwo);
      default:
        throw new Error(op);
    }
  });
}

/** Arguments that the profile distinguishes. */
const ARGUMENTS: readonly (readonly bigint[])[] = [
  [0n],
  [8n],
  [40n],
  [0x2_0000n],
  [0x2_0008n],
  [0xffff_ffffn],
  [0xffff_ffff_ffff_ffffn],
  [1n << 32n],
  [0x1000_0000n],
  [0x0002_0000n],
  [0x10_0000n],
  [17n],
];

const CAPABILITY_NAMES = ['CAP_SYS_CHROOT'];

test.each(ABIS)(
  'decides about every call of %s like Docker',
  (_abi, machine, goarch, architecture, offset, table) => {
    const filter = seccompFilter(machine, CAPABILITIES);
    if (filter === undefined) throw new Error('no filter');
    const rules = rulesFor(goarch, CAPABILITY_NAMES);
    const known = new Set(rules.flatMap(({ names }) => names));
    const named = [...table].filter(([name]) => known.has(name)).map(([, number]) => number);
    const last = Math.max(...named.filter((number) => number < 0xf_0000));
    const byNumber = Map.groupBy(table, ([, number]) => number);
    const tried = [...new Set([...Array(1200).keys(), ...named, 0xf_0000, 0xf_0006])];
    let allowed = 0;
    for (const number of tried) {
      const names = (byNumber.get(number) ?? []).map(([name]) => name);
      for (const args of ARGUMENTS) {
        const rule = rules.find(
          (item) => item.names.some((name) => names.includes(name)) && matches(item, args),
        );
        const fallback = number > last ? ENOSYS : EPERM;
        const expected =
          rule?.action === 'SCMP_ACT_ALLOW' ? ALLOW : ERRNO | (rule?.errnoRet ?? fallback);
        const actual = interpret(filter, { architecture, number: offset + number, args });
        expect([names, args, actual.toString(16)]).toEqual([names, args, expected.toString(16)]);
        if (actual === ALLOW) allowed += 1;
      }
    }
    expect(allowed).toBeGreaterThan(250 * ARGUMENTS.length);
  },
);

test('allows the same calls for a capability as Docker', () => {
  const architecture = 0xc000_003e;
  const table = numbers('x86_64-linux-gnu/asm/unistd_64.h');
  const cases: readonly (readonly [number, string])[] = [
    [2, 'CAP_DAC_READ_SEARCH'],
    [16, 'CAP_SYS_MODULE'],
    [17, 'CAP_SYS_RAWIO'],
    [18, 'CAP_SYS_CHROOT'],
    [19, 'CAP_SYS_PTRACE'],
    [20, 'CAP_SYS_PACCT'],
    [21, 'CAP_SYS_ADMIN'],
    [22, 'CAP_SYS_BOOT'],
    [23, 'CAP_SYS_NICE'],
    [25, 'CAP_SYS_TIME'],
    [26, 'CAP_SYS_TTY_CONFIG'],
    [34, 'CAP_SYSLOG'],
    [38, 'CAP_PERFMON'],
    [39, 'CAP_BPF'],
  ];
  for (const [capability, cap] of cases) {
    const filter = seccompFilter('x64', [capability]) ?? Buffer.alloc(0);
    const rules = rulesFor('amd64', [cap]).filter(
      ({ action, args }) => action === 'SCMP_ACT_ALLOW' && (args ?? []).length === 0,
    );
    const named = new Set(rules.flatMap(({ names }) => names));
    const allowed = [...table]
      .filter(([, number]) => interpret(filter, { architecture, number }) === ALLOW)
      .map(([name]) => name);
    const conditional = ['clone', 'personality', 'socket'];
    const plain = (names: Iterable<string>): string[] =>
      [...names].filter((name) => !conditional.includes(name)).toSorted();
    expect([cap, plain(allowed)]).toEqual([
      cap,
      plain([...named].filter((name) => table.has(name))),
    ]);
  }
});

test('kills a program of a foreign ABI', () => {
  const filter = seccompFilter('x64', CAPABILITIES) ?? Buffer.alloc(0);
  expect(interpret(filter, { architecture: 0xc000_00b7, number: 64 })).toBe(0x8000_0000);
});

test('has no filter for a machine without a profile', () => {
  expect(seccompFilter('riscv64', CAPABILITIES)).toBeUndefined();
});
