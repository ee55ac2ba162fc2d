import {
  ARCHITECTURE,
  argument,
  encode,
  ifAnySet,
  ifAtLeast,
  ifEqual,
  load,
  NUMBER,
  type Program,
  returns,
} from './bpf.ts';
import table from './syscalls.json' with { type: 'json' };

/** An ABI that programs on a machine can use. The table has x32's numbers without `X32_BIT`. */
type Abi = 'x86_64' | 'x32' | 'i386' | 'aarch64' | 'arm';

/**
 * System calls that are allowed together, each as its name and its number in each ABI. A group may
 * be limited to a capability, as in capabilities(7), or to machines, as Node names them.
 */
interface SyscallGroup {
  readonly capability?: number;
  readonly machine?: string;
  readonly calls: readonly string[];
}

const GROUPS: readonly SyscallGroup[] = table.groups;

const [EPERM, ENOSYS] = [1, 38];
const ALLOW = returns(0x7fff_0000);
const FORBID = returns(0x0005_0000 | EPERM);
/** The answer of a kernel that lacks the call: programs then try an older one. */
const UNKNOWN = returns(0x0005_0000 | ENOSYS);
const KILL = returns(0x8000_0000);

const X32_BIT = 0x4000_0000;
const CAP_SYS_ADMIN = 21;
/** The first number of ARM's private calls, far above the others. */
const ARM_PRIVATE = 0xf_0000;

type Machine = 'x64' | 'arm64';

/** The ABIs of a machine by the architecture that the kernel reports. x86_64 and x32 share one. */
const ARCHITECTURES: Readonly<Record<Machine, readonly (readonly [number, readonly Abi[]])[]>> = {
  x64: [
    [0xc000_003e, ['x86_64', 'x32']],
    [0x4000_0003, ['i386']],
  ],
  arm64: [
    [0xc000_00b7, ['aarch64']],
    [0x4000_0028, ['arm']],
  ],
};

/**
 * Returns the system call filter of Docker's default profile (26.1) for a command with the given
 * capabilities, as an array of `struct sock_filter`. A call that the profile does not name fails
 * with EPERM, and a number above all named ones with ENOSYS, as in runc. Returns undefined for a
 * machine without a profile.
 */
export function seccompFilter(
  machine: string,
  capabilities: readonly number[],
): Buffer | undefined {
  if (machine !== 'x64' && machine !== 'arm64') return undefined;
  const program = ARCHITECTURES[machine].reduceRight<Program>(
    (others, [architecture, abis]) =>
      ifEqual(architecture, load(NUMBER, decide(rangesOf(machine, abis, capabilities))), others),
    KILL,
  );
  return encode(load(ARCHITECTURE, program));
}

/** Returns the same profile for an OCI runtime: runtime-spec, config-linux.md, "Seccomp". */
export function seccompProfile(machine: string, capabilities: readonly number[]): unknown {
  if (machine !== 'x64' && machine !== 'arm64') return undefined;
  const names = allowedCalls(machine, capabilities).map(([name]) => name);
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures:
      machine === 'x64'
        ? ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']
        : ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
    syscalls: [
      { names, action: 'SCMP_ACT_ALLOW' },
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      allow('clone', 'SCMP_CMP_MASKED_EQ', NAMESPACES),
      allow('socket', 'SCMP_CMP_NE', AF_VSOCK),
      ...PERSONALITIES.map((value) => allow('personality', 'SCMP_CMP_EQ', value)),
    ],
  };
}

function allow(name: string, op: string, value: number): unknown {
  const args = [{ index: 0, value, valueTwo: 0, op }];
  return { names: [name], action: 'SCMP_ACT_ALLOW', args };
}

/** The numbers from `start` up to the start of the next range, which have one answer. */
interface Range {
  readonly start: number;
  readonly answer: Program;
}

function rangesOf(
  machine: Machine,
  abis: readonly Abi[],
  capabilities: readonly number[],
): readonly Range[] {
  const ranges: Range[] = [];
  const add = (start: number, answer: Program): void => {
    const last = ranges.at(-1);
    if (last?.start === start) ranges.pop();
    if (ranges.at(-1)?.answer !== answer) ranges.push({ start, answer });
  };
  for (const abi of abis) {
    const offset = abi === 'x32' ? X32_BIT : 0;
    const answers = answersOf(machine, abi, capabilities);
    const numbers = [...answers.keys()].toSorted((a, b) => a - b);
    const last = numbers.findLast((number) => number < ARM_PRIVATE) ?? 0;
    add(offset, FORBID);
    for (const number of numbers) {
      add(offset + number, answers.get(number) ?? FORBID);
      add(offset + number + 1, number < last ? FORBID : UNKNOWN);
    }
  }
  return ranges;
}

/** Returns the answers to an ABI's calls by number; all others are forbidden. */
function answersOf(
  machine: Machine,
  abi: Abi,
  capabilities: readonly number[],
): ReadonlyMap<number, Program> {
  const column = table.columns.indexOf(abi);
  const byName = conditions(capabilities);
  const conditional = table.conditional.map((line) => line.split(' '));
  const answers = [
    ...conditional.map((row) => [row[column], byName.get(row[0] ?? '') ?? FORBID] as const),
    ...allowedCalls(machine, capabilities).map((row) => [row[column], ALLOW] as const),
  ];
  return new Map(
    answers.flatMap(([number = '-', answer]) => (number === '-' ? [] : [[Number(number), answer]])),
  );
}

/** Returns the rows of the calls that are allowed with any arguments. */
function allowedCalls(machine: Machine, capabilities: readonly number[]): readonly string[][] {
  return GROUPS.filter(
    ({ capability, machine: only = machine }) =>
      only === machine && (capability === undefined || capabilities.includes(capability)),
  ).flatMap(({ calls }) => calls.map((line) => line.split(' ')));
}

function conditions(capabilities: readonly number[]): ReadonlyMap<string, Program> {
  const isAdmin = capabilities.includes(CAP_SYS_ADMIN);
  return new Map([
    ['clone', isAdmin ? ALLOW : withoutNamespaces],
    // Its flags are behind a pointer, which a filter cannot follow.
    ['clone3', isAdmin ? ALLOW : UNKNOWN],
    ['personality', somePersonalities],
    ['socket', withoutMachineSockets],
  ]);
}

const PERSONALITIES = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
const AF_VSOCK = 40;
/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET */
const NAMESPACES = 0x7e02_0000;
const withoutNamespaces = load(argument(0), ifAnySet(NAMESPACES, FORBID, ALLOW));

/**
 * AF_VSOCK reaches the host of a virtual machine from any network namespace. The kernel reads only
 * 32 bits of the argument.
 */
const withoutMachineSockets = load(argument(0), ifEqual(AF_VSOCK, FORBID, ALLOW));

/** PER_LINUX and PER_LINUX32, each with and without UNAME26, and the query of the current one. */
const somePersonalities = load(
  argument(0) + 4,
  ifEqual(
    0,
    load(
      argument(0),
      PERSONALITIES.reduce<Program>((others, value) => ifEqual(value, ALLOW, others), FORBID),
    ),
    FORBID,
  ),
);

/** Returns a program that finds the range of a number by binary search. */
function decide(ranges: readonly Range[]): Program {
  const [first] = ranges;
  if (first === undefined) throw new Error('no ranges');
  if (ranges.length === 1) return first.answer;
  const middle = ranges.length >> 1;
  const start = ranges[middle]?.start ?? 0;
  return ifAtLeast(start, decide(ranges.slice(middle)), decide(ranges.slice(0, middle)));
}
