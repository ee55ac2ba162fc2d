import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { client, dnsmasq, laboratory, type Laboratory, rogue, until } from './dhcp/laboratory.ts';
import { network, type Program } from './dhcp/network.ts';
import { capabilitySet, rolesOf } from './roles.ts';

const roles = rolesOf('dhcp');
let lab: Laboratory;

beforeAll(async () => {
  lab = await laboratory();
});
afterAll(() => rmSync(lab.dir, { recursive: true, force: true }));

/** Returns a client's processes: those of the program in the network namespace of `started`. */
function processes(started: Program): { name: string; pid: number }[] {
  const net = readlinkSync(`/proc/${started.pid}/ns/net`);
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
        const ours = name.startsWith('dhcp-') && readlinkSync(`/proc/${pid}/ns/net`) === net;
        return ours ? [{ name: name.slice('dhcp-'.length), pid: Number(pid) }] : [];
      } catch {
        return []; // the process has ended
      }
    });
}

function status(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8');
}

describe.concurrent('the DHCP client', () => {
  test('gets a lease of dnsmasq once, keeps it, and renews it', async () => {
    await using lan = network();
    const server = dnsmasq(
      lab,
      lan.station('s', '10.99.0.1/24'),
      '10.99.0.10,10.99.0.20,2m',
      '--dhcp-option=option:T1,5',
      '--dhcp-option=option:dns-server,10.99.0.1',
      '--dhcp-option=option:domain-name,example.org',
      '--dhcp-option=option:mtu,1400',
      '--dhcp-option=option:classless-static-route,0.0.0.0/0,10.99.0.1,192.0.2.0/24,10.99.0.2',
    );
    await server.says('DHCP, sockets bound');
    const { station, start, names } = client(lab, lan);
    // LinuxKit's examples start dhcpcd with these flags.
    const once = start('--nobackground', '-f', '/dhcpcd.conf', '-1');
    expect(await once.ended, once.output()).toBe(0);
    const [address] = station.addresses();
    expect(address).toMatch(/^10\.99\.0\.1\d\/24$|^10\.99\.0\.20\/24$/);
    expect(names()).toBe('search example.org\nnameserver 10.99.0.1\n');
    expect(station.run('ip', 'route')).toMatch(/^default via 10\.99\.0\.1 dev eth0 proto dhcp/m);
    expect(station.run('ip', 'route')).toContain('192.0.2.0/24 via 10.99.0.2 dev eth0 proto dhcp');
    expect(station.run('ip', 'link', 'show', 'eth0')).toContain('mtu 1400');

    const kept = start();
    await kept.says('eth0 has');
    expect(server.output().split('DHCPDISCOVER(').length - 1).toBe(1); // known address
    await server.says('DHCPACK(', 3); // for the renewal
    expect(station.addresses()).toEqual([address]);
    expect(station.run('ip', 'addr', 'show', 'eth0')).toMatch(/valid_lft 1[0-2]\dsec/);
  });

  test('runs three processes with exactly the privileges of their roles', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'prolongs');
    const running = client(lab, lan).start();
    await until(() => processes(running).length === 3);
    await until(() => processes(running).every(({ pid }) => /^Seccomp:\s2$/m.test(status(pid))));
    for (const { name, pid } of processes(running)) {
      const text = status(pid);
      const role = roles[name];
      if (role === undefined) throw new Error(`no role ${name}`);
      expect(text).toMatch(new RegExp(`^Uid:(\\s${role.uid}){4}$`, 'm'));
      expect(text).toMatch(/^NoNewPrivs:\s1$/m);
      for (const set of ['CapPrm', 'CapEff', 'CapAmb'])
        expect(text).toMatch(new RegExp(`^${set}:\\s${capabilitySet(role)}$`, 'm'));
    }
    expect(new Set(processes(running).map(({ name }) => name))).toEqual(
      new Set(Object.keys(roles)),
    );
    // When one process ends, all end.
    const engine = processes(running).find(({ name }) => name === 'engine');
    process.kill(engine?.pid ?? -1, 'SIGKILL');
    expect(await running.ended, running.output()).toBe(1);
    expect(running.output()).toContain('error: actuator: the other process ended');
  });

  test('removes its address when dnsmasq rejects it, and gets another one', async () => {
    await using lan = network();
    const station = lan.station('s', '10.99.0.1/24');
    const first = dnsmasq(lab, station, '10.99.0.10,10.99.0.10,2m', '--dhcp-option=option:T1,5');
    await first.says('DHCP, sockets bound');
    const { station: guest, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.10/24');
    await first.stop();
    const second = dnsmasq(lab, station, '10.99.0.30,10.99.0.30,2m');
    await running.says('the server refused the address, removing 10.99.0.10');
    await running.says('eth0 has 10.99.0.30/24');
    expect(second.output()).toContain('DHCPNAK(');
    expect(guest.addresses()).toEqual(['10.99.0.30/24']);
  });

  test('asks its server, then any server, and removes the address when the lease expires', async () => {
    await using lan = network();
    const server = await rogue(lan, 's', '10.99.0.1', 'once');
    const { station, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.50/24 from 10.99.0.1 for 10s');
    await running.says('the lease expired, removing 10.99.0.50');
    await server.says('discover', 2);
    expect(station.addresses()).toEqual([]);
    // At T1 and T2.
    expect(server.output().match(/request 10\.99\.0\.50/g)).toHaveLength(3);
  });

  test('renews with another server when its own is silent', async () => {
    await using lan = network();
    const silent = await rogue(lan, 's', '10.99.0.1', 'leaves');
    const other = await rogue(lan, 't', '10.99.0.2', 'prolongs');
    const { station, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.50/24 from 10.99.0.1');
    // At T2 the client broadcasts; at the next T1 it asks this server alone.
    await other.says('request 10.99.0.50', 3);
    expect(silent.output().match(/request 10\.99\.0\.50/g)).toHaveLength(3);
    expect(station.addresses()).toEqual(['10.99.0.50/24']);
    expect(running.output()).not.toContain('removing');
  });

  test('takes the new address of a server that rejects a renewal', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'refuses');
    const { station, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    await running.says('eth0 has 10.99.0.51/24');
    expect(station.addresses()).toEqual(['10.99.0.51/24']);
  });

  test('declines an address that a neighbour uses', async () => {
    await using lan = network();
    lan.station('n', '10.99.0.50/24');
    const server = await rogue(lan, 's', '10.99.0.1', 'conflict');
    const { station, start } = client(lab, lan);
    const running = start();
    await server.says('decline 10.99.0.50');
    await running.says('eth0 has 10.99.0.51/24');
    expect(station.addresses()).toEqual(['10.99.0.51/24']);
    expect(running.output()).not.toContain('10.99.0.50');
  });

  test('ignores unusable replies and options of a hostile server', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'hostile');
    const { station, start, names } = client(lab, lan);
    const running = start();
    await running.says('for 262800h0m0s\n');
    expect(running.output()).toBe('dhcp: eth0 has 10.99.0.50/24 from 10.99.0.1 for 262800h0m0s\n');
    expect(processes(running)).toHaveLength(3);
    expect(station.addresses()).toEqual(['10.99.0.50/24']);
    expect(names()).toBe('nameserver 10.99.0.1\n');
    expect(station.run('ip', 'link', 'show', 'eth0')).toContain('mtu 1500');
    expect(station.run('ip', 'route').split('\n').filter(Boolean)).toHaveLength(2);
  });

  test('writes names and time servers, where asked', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'names');
    const { start, names } = client(lab, lan);
    const [hostname, times] = [join(lab.dir, 'hostname'), join(lab.dir, 'ntpd.conf')];
    const once = start('-1', '-hostname', hostname, '-ntp', times);
    expect(await once.ended, once.output()).toBe(0);
    expect(names()).toBe('search eng.example.org example.org\nnameserver 10.99.0.1\n');
    expect(readFileSync(hostname, 'utf8')).toBe('web-1\n');
    expect(readFileSync(times, 'utf8')).toBe('server 10.99.0.4\nserver 10.99.0.5\n');
  });

  test('gives its lease back at the end, where asked', async () => {
    await using lan = network();
    const server = dnsmasq(lab, lan.station('s', '10.99.0.1/24'), '10.99.0.10,10.99.0.10,2m');
    await server.says('DHCP, sockets bound');
    const { station, start } = client(lab, lan);
    const running = start('-release');
    await running.says('eth0 has 10.99.0.10/24');
    process.kill(running.pid, 'SIGTERM');
    expect(await running.ended, running.output()).toBe(0);
    await server.says('DHCPRELEASE(');
    expect(station.addresses()).toEqual([]);
    expect(station.run('ip', 'route')).toBe('');
  });

  test('asks for the address of the last boot, where it may store it', async () => {
    await using lan = network();
    const server = await rogue(lan, 's', '10.99.0.1', 'grants');
    const { station, start } = client(lab, lan);
    const state = mkdtempSync(join(lab.dir, 'state-'));
    for (const times of [1, 2]) {
      const running = start('-state', state);
      await running.says('eth0 has 10.99.0.50/24');
      await server.says('request 10.99.0.50', times);
      await running.stop();
      station.run('ip', 'addr', 'flush', 'dev', 'eth0');
    }
    expect(server.output().match(/discover/g)).toHaveLength(1);
    expect(statSync(join(state, 'secret'))).toMatchObject({ mode: 0o100_600, size: 32 });
  });

  test('reports after -wait that no server answered', async () => {
    await using lan = network();
    const once = client(lab, lan).start('-1', '-wait', '1s');
    expect(await once.ended).toBe(1);
    expect(once.output()).toContain('error: actuator: no server answered within 1s');
  });
});

test('leaves no network namespace behind', () => {
  const left = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  expect(left).not.toContain(`lkt${process.pid}x`);
});
