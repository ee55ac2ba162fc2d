import { expect, test } from 'vitest';
import {
  argument,
  encode,
  ifAnySet,
  ifAtLeast,
  ifEqual,
  load,
  NUMBER,
  type Program,
  returns,
} from '../../src/seccomp/bpf.ts';
import { interpret } from './interpret.ts';

function run(program: Program, number: number, args: readonly bigint[] = []): number {
  return interpret(encode(program), { architecture: 0, number, args });
}

test.each([
  ['equal', ifEqual, [[7, 1] as const, [6, 0] as const, [8, 0] as const]],
  ['at least', ifAtLeast, [[6, 0] as const, [7, 1] as const, [0xffff_ffff, 1] as const]],
  ['any bit of', ifAnySet, [[8, 0] as const, [9, 1] as const, [6, 1] as const]],
])('tests a number: %s 7', (_name, test7, cases) => {
  const program = load(NUMBER, test7(7, returns(1), returns(0)));
  for (const [number, answer] of cases) expect(run(program, number)).toBe(answer);
});

test('makes a jump of more than 255 instructions with two', () => {
  // One length above the limit, and one far above.
  for (const length of [120, 130, 500]) {
    const long = Array.from({ length }, (_, value) => value).reduceRight<Program>(
      (rest, value) => ifEqual(value + 1000, returns(value), rest),
      returns(5),
    );
    const program = load(NUMBER, ifAtLeast(7, returns(1), long));
    expect(run(program, 8)).toBe(1);
    expect(run(program, 3)).toBe(5);
  }
});

test('compares both halves of an argument', () => {
  const program = load(
    argument(1),
    ifEqual(2, load(argument(1) + 4, ifEqual(3, returns(1), returns(2))), returns(3)),
  );
  expect(run(program, 0, [0n, (3n << 32n) | 2n])).toBe(1);
  expect(run(program, 0, [(3n << 32n) | 2n, 2n])).toBe(2);
  expect(run(program, 0, [0n, 0n])).toBe(3);
});

test('rejects a program that is too long for the kernel', () => {
  const long = Array.from({ length: 5000 }, () => returns(0)).flat();
  expect(() => encode(long)).toThrow('5000');
});
