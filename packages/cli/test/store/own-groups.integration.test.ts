import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OwnGroups } from './own-groups.ts';

test('lists the processes and groups that a command leaves, and none of others', async () => {
  const name = `lkt-test-${process.pid}`;
  using groups = new OwnGroups(name);
  const [program = '', ...argv] = groups.argv;
  const other = spawn('sleep', ['986']);
  // Nothing but its groups tells where this process is from.
  execFileSync(program, [...argv, 'sh', '-c', 'cd /; env -i setsid sleep 985 > /dev/null 2>&1 &']);
  const left = expect.stringMatching(/^process \d+: sleep 985 $/) as string;
  await expect.poll(() => groups.contents()).toEqual([left]);

  const [, pid = ''] = /^process (\d+)/.exec(groups.contents()[0] ?? '') ?? [];
  const [, controller = '', path = ''] =
    /^\d+:([^:]*):(.*\/lkt-test-\d+)/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
  const ofRun = `/sys/fs/cgroup/${controller}${path}/lkt-0123456789ab-1`;
  mkdirSync(ofRun);
  expect(groups.contents()).toEqual(['group lkt-0123456789ab-1', left]);
  rmdirSync(ofRun);

  for (const { pid: number } of [{ pid: Number(pid) }, other]) process.kill(number ?? 0);
  await once(other, 'exit');
  await expect.poll(() => groups.contents()).toEqual([]);
});
