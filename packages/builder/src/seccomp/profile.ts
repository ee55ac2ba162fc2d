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
import { type Abi, ABIS, CONDITIONAL, GROUPS } from './syscall-table.ts';

const [EPERM, ENOSYS] = [1, 38];
const ALLOW = returns(0x7fff_0000);
const FORBID = returns(0x0005_0000 | EPERM);
/** As a kernel says that does not have the call: programs then try an older one. */
const UNKNOWN = returns(0x0005_0000 | ENOSYS);
const KILL = returns(0x8000_0000);

const X32_BIT = 0x4000_0000;
const CAP_SYS_ADMIN = 21;
/** Numbers of ARM's own calls, far from the others. */
const ARM_PRIVATE = 0xf_0000;

type Machine = 'x64' | 'arm64';

/** The ABIs of a machine, by the architecture the kernel says of a call. Two of x86 share one. */
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
 * The filter of system calls that Docker's default profile is (26.1), for a command with these capabilities, as an
 * array of `struct sock_filter`. What the profile does not name is forbidden, and what is newer than all it names does
 * not exist, as runc has it.
 * @returns undefined for a machine that there is no profile for.
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

/** The same as an OCI runtime takes it: runtime-spec, config-linux.md, "Seccomp". */
export function seccompProfile(machine: string, capabilities: readonly number[]): unknown {
  if (machine !== 'x64' && machine !== 'arm64') return undefined;
  const names = GROUPS.filter(
    ({ capability, machine: only }) =>
      (only === undefined || only === machine) &&
      (capability === undefined || capabilities.includes(capability)),
  ).flatMap(({ table }) =>
    table
      .trim()
      .split('\n')
      .map((line) => line.split(' ', 1)[0]),
  );
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

/** Numbers from `start` to the start of the next have one answer. */
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

/** What an ABI's calls get; one that is not in it is forbidden. */
function answersOf(
  machine: Machine,
  abi: Abi,
  capabilities: readonly number[],
): ReadonlyMap<number, Program> {
  const answers = new Map<number, Program>();
  const byName = conditions(capabilities);
  for (const [name, number] of numbersIn(CONDITIONAL, abi)) {
    const answer = byName.get(name);
    if (answer !== undefined) answers.set(number, answer);
  }
  for (const { capability, machine: only, table } of GROUPS) {
    if (only !== undefined && only !== machine) continue;
    if (capability !== undefined && !capabilities.includes(capability)) continue;
    for (const [, number] of numbersIn(table, abi)) answers.set(number, ALLOW);
  }
  return answers;
}

function conditions(capabilities: readonly number[]): ReadonlyMap<string, Program> {
  const isAdmin = capabilities.includes(CAP_SYS_ADMIN);
  return new Map([
    ['clone', isAdmin ? ALLOW : withoutNamespaces],
    // Its flags are behind a pointer, where no filter sees them.
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

/** AF_VSOCK leads to the host of a virtual machine, whatever the network namespace. The kernel looks at 32 bits. */
const withoutMachineSockets = load(argument(0), ifEqual(AF_VSOCK, FORBID, ALLOW));

/** PER_LINUX and PER_LINUX32, with UNAME26 or without; and the question which it is. */
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

function* numbersIn(table: string, abi: Abi): Generator<readonly [string, number]> {
  const column = ABIS.indexOf(abi) + 1;
  for (const line of table.trim().split('\n')) {
    const cells = line.split(' ');
    const number = Number(cells[column]);
    if (!Number.isNaN(number)) yield [cells[0] ?? '', number];
  }
}

/** Finds the range of a number by halves. */
function decide(ranges: readonly Range[]): Program {
  const [first] = ranges;
  if (first === undefined) throw new Error('no ranges');
  if (ranges.length === 1) return first.answer;
  const middle = ranges.length >> 1;
  const start = ranges[middle]?.start ?? 0;
  return ifAtLeast(start, decide(ranges.slice(middle)), decide(ranges.slice(0, middle)));
}
