import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, contextOf, scratch } from '../fixture.ts';
import { type Probe, probeProgram } from './probe.ts';

const [NONE, EPERM, EFAULT, EINVAL, ENOSYS] = [0, 1, 14, 22, 38];
const X32 = 0x4000_0000;

/** Calls with the errno of the filter: without it, most get further. */
const CALLS: Readonly<Record<string, Probe & { readonly errno: number }>> = {
  keyctl: { number: 250, args: [0, 0xffff_fffd], errno: EPERM },
  add_key: { number: 248, errno: EPERM },
  bpf: { number: 321, args: [0, 0, 0], errno: EPERM },
  mount: { number: 165, errno: EPERM },
  'unshare of users': { number: 272, args: [0x1000_0000], errno: EPERM },
  'unshare of nothing': { number: 272, args: [0], errno: EPERM },
  setns: { number: 308, args: [9999], errno: EPERM },
  'clone of users': { number: 56, args: [0x1000_0000 | 17], errno: EPERM },
  clone3: { number: 435, errno: ENOSYS },
  'ptrace me': { number: 101, args: [0], errno: NONE },
  userfaultfd: { number: 323, errno: EPERM },
  io_uring_setup: { number: 425, errno: EPERM },
  perf_event_open: { number: 298, errno: EPERM },
  open_by_handle_at: { number: 304, errno: EPERM },
  'socket to the host of a virtual machine': { number: 41, args: [40, 1], errno: EPERM },
  'socket, unix': { number: 41, args: [1, 1], errno: NONE },
  'personality without randomness': { number: 135, args: [0x4_0000], errno: EPERM },
  'personality, which': { number: 135, args: [0xffff_ffff], errno: NONE },
  'chroot nowhere': { number: 161, errno: EFAULT },
  'a call of the future': { number: 900, errno: ENOSYS },
  'mount, x32': { number: X32 + 165, errno: EPERM },
  'keyctl, 32 bits': { number: 288, is32Bit: true, errno: EPERM },
  'mount, 32 bits': { number: 21, is32Bit: true, errno: EPERM },
  'getpid, 32 bits': { number: 20, is32Bit: true, errno: NONE },
  'dup2, wrong': { number: 292, args: [1, 1], errno: EINVAL },
};

test.each(['init', 'bwrap', 'runc', 'crun'])(
  'allows a RUN the same calls as Docker, with %s',
  async (executor) => {
    using directory = scratch();
    const names = Object.keys(CALLS);
    using programs = scratch();
    for (const [index, name] of names.entries()) {
      const path = join(programs.path, `p${index}`);
      writeFileSync(path, probeProgram(CALLS[name] ?? { number: 39 }));
      chmodSync(path, 0o755);
    }
    const text = `FROM base
RUN --mount=type=bind,target=/p for i in $(seq 0 ${names.length - 1}); do /p/p$i; echo $?; done
`;
    const built = await build(join(directory.path, 'store'), text, {
      context: contextOf(programs.path),
      executor,
    });
    const said = built.log.trim().split('\n').map(Number);
    expect(Object.fromEntries(names.map((name, index) => [name, said[index]]))).toEqual(
      Object.fromEntries(
        names.map((name) => {
          // crun does not know future calls.
          const isUnknown = executor === 'crun' && name === 'a call of the future';
          return [name, isUnknown ? EPERM : CALLS[name]?.errno];
        }),
      ),
    );
  },
  60_000,
);

test('lets a setuid program change the user, as in Docker', async () => {
  using directory = scratch();
  using program = scratch();
  // setuid(0)
  writeFileSync(join(program.path, 'become'), probeProgram({ number: 105, args: [0] }));
  chmodSync(join(program.path, 'become'), 0o755);
  const text = `FROM base
COPY become /plain
RUN cp /plain /setuid && chmod 4755 /setuid
USER joe
RUN /plain; echo $?; /setuid; echo $?
`;
  const context = contextOf(program.path);
  const built = await build(join(directory.path, 'store'), text, { context });
  expect(built.log).toBe(`${EPERM}\n${NONE}\n`);
});
