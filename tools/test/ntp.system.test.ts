import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { network, type Program } from './dhcp/network.ts';
import {
  chrony,
  client,
  laboratory,
  type Laboratory,
  NAME,
  named,
  nts,
  server,
} from './ntp/laboratory.ts';

let lab: Laboratory;

beforeAll(async () => {
  lab = await laboratory();
});
afterAll(() => rmSync(lab.dir, { recursive: true, force: true }));

/** Only reports the offset: the machine of the tests keeps its clock. */
const QUERY = ['-q', '-wait', '30s'];
const SHORT = ['-q', '-wait', '4s'];

/** Waits for the end and returns the offset in seconds that the client reports. */
async function offset(program: Program): Promise<number> {
  const status = await program.ended;
  const [, text] = /the clock is off by (\S+) \(/.exec(program.output()) ?? [];
  if (status !== 0 || text === undefined) throw new Error(`status ${status}: ${program.output()}`);
  const parts = text.matchAll(/([\d.]+)(h|m|s|ms|µs|ns)(?![a-z])/g);
  const units = { h: 3600, m: 60, s: 1, ms: 1e-3, µs: 1e-6, ns: 1e-9 };
  const size = [...parts].reduce(
    (sum, [, number, unit]) => sum + Number(number) * units[unit as keyof typeof units],
    0,
  );
  return text.startsWith('-') ? -size : size;
}

/** Waits for the end, which must be an error and no signal, and returns the output. */
async function failure(program: Program): Promise<string> {
  expect(await program.ended, program.output()).toBe(1);
  expect(program.output()).not.toContain('the clock is off by');
  return program.output();
}

describe.concurrent('the time client', () => {
  test('takes the time of chrony, authenticated by NTS', async () => {
    await using lan = await named('10.99.0.1');
    await chrony(lab, lan.station('s', '10.99.0.1/24'), ...nts(lab, 'good'));
    expect(Math.abs(await offset(client(lab, lan)(...QUERY, '-nts', NAME)))).toBeLessThan(1);
  });

  test('asks the time server that the key exchange names', async () => {
    await using lan = await named('10.99.0.1');
    const other = ['ntsntpserver 10.99.0.7'];
    await chrony(lab, lan.station('s', '10.99.0.1/24'), ...nts(lab, 'good'), ...other);
    const rogue = await server(lan.station('r', '10.99.0.7/24'), 'time-server.ts', 'ahead');
    // It has the name, but not the keys.
    await failure(client(lab, lan)(...SHORT, '-nts', NAME));
    expect(rogue.output()).toContain('request');
  });

  test.each([
    ['foreign', 'certificate signed by unknown authority'],
    ['expired', 'the certificate has expired or is not yet valid'],
    ['named', 'certificate is valid for other.test, not time.test'],
  ])('refuses keys of a server with a %s certificate', async (name, cause) => {
    await using lan = await named('10.99.0.66');
    const rogue = lan.station('s', '10.99.0.66/24');
    await chrony(lab, rogue, ...nts(lab, name));
    expect(await failure(client(lab, lan)(...SHORT, '-nts', NAME))).toContain(cause);
  });

  test('takes no answer without NTS where that is required', async () => {
    await using lan = await named('10.99.0.66');
    await server(lan.station('s', '10.99.0.66/24'), 'time-server.ts', 'ahead');
    const said = await failure(client(lab, lan)(...SHORT, '-nts', NAME));
    expect(said).toContain('connection refused');
  });

  test('outvotes a wrong server', async () => {
    await using lan = network();
    for (const [name, word] of ['honest', 'ahead', 'honest'].entries())
      await server(lan.station(`s${name}`, `10.99.0.1${name}/24`), 'time-server.ts', word);
    const asked = client(lab, lan)(...QUERY, '10.99.0.10', '10.99.0.11', '10.99.0.12');
    expect(Math.abs(await offset(asked))).toBeLessThan(1);
    expect(asked.output()).toContain('(2 of 3 servers agree)');
  });

  test.each(['ahead', 'behind'])('believes one server that is %s', async (word) => {
    await using lan = network();
    await server(lan.station('s', '10.99.0.1/24'), 'time-server.ts', word);
    const found = await offset(client(lab, lan)(...QUERY, '10.99.0.1'));
    expect(Math.round(found / 60)).toBe(word === 'ahead' ? 60 : -60);
  });

  test.each([
    // A timestamp of 2000 is one of the next era.
    ['past', 'the servers claim that it is 2136-02-07, which cannot be'],
    ['future', 'which cannot be'],
    ['unsynchronized', 'the server is not synchronized'],
    ['floods', '10.99.0.1:123: '],
  ])('refuses the time of a server that does this: %s', async (word, cause) => {
    await using lan = network();
    await server(lan.station('s', '10.99.0.1/24'), 'time-server.ts', word);
    expect(await failure(client(lab, lan)(...SHORT, '10.99.0.1'))).toContain(cause);
  });

  test('asks a server that refuses once, and goes on', async () => {
    await using lan = network();
    const rogue = await server(lan.station('s', '10.99.0.1/24'), 'time-server.ts', 'denies');
    await failure(client(lab, lan)('-q', '-wait', '10s', '10.99.0.1'));
    expect(rogue.output().split('request').length - 1).toBe(1);
  });

  test('asks a server that wants fewer requests at intervals', async () => {
    await using lan = network();
    const rogue = await server(lan.station('s', '10.99.0.1/24'), 'time-server.ts', 'slows');
    await failure(client(lab, lan)('-q', '-wait', '10s', '10.99.0.1'));
    expect(rogue.output().split('request').length - 1).toBeLessThan(8);
  });

  test('asks four addresses of a name server that has thousands', async () => {
    await using lan = network();
    await server(lan.station('d', '10.99.0.53/24'), 'name-server.ts', 'many');
    const config = join(lab.dir, 'ntpd.conf');
    writeFileSync(config, `servers ${NAME}\n`);
    const said = await failure(client(lab, lan)(...SHORT, '-f', config));
    expect(said.match(/10\.99\.\d+\.\d+:123/g)?.length ?? 0).toBe(4);
  });

  test.each(['impossible', 'absent', 'malformed'])(
    'survives a name server that answers so: %s',
    async (word) => {
      await using lan = network();
      const names = await server(lan.station('d', '10.99.0.53/24'), 'name-server.ts', word);
      const ask = client(lab, lan);
      await failure(ask(...SHORT, NAME));
      await failure(ask(...SHORT, '-nts', NAME));
      expect(names.output()).toContain('question');
    },
  );
});
