import { CODE } from '../../src/seccomp/bpf.ts';

/** A system call as a filter sees it. */
export interface Call {
  readonly architecture: number;
  readonly number: number;
  readonly args?: readonly bigint[];
}

/** Runs an array of `struct sock_filter` as the kernel does, and returns its action. */
export function interpret(program: Buffer, call: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.architecture, 4);
  for (const [index, value] of (call.args ?? []).entries())
    data.writeBigUInt64LE(value, 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const code = program.readUInt16LE(at);
    const value = program.readUInt32LE(at + 4);
    const jump = (holds: boolean): void => {
      at += 8 * program.readUInt8(at + (holds ? 2 : 3));
    };
    switch (code) {
      case CODE.load:
        accumulator = data.readUInt32LE(value);
        break;
      case CODE.jump:
        at += 8 * value;
        break;
      case CODE.jumpEqual:
        jump(accumulator === value);
        break;
      case CODE.jumpAtLeast:
        jump(accumulator >= value);
        break;
      case CODE.jumpSet:
        jump((accumulator & value) !== 0);
        break;
      case CODE.return:
        return value;
      default:
        throw new Error(`no code ${code}`);
    }
  }
  throw new Error('a program without an end');
}
