import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { advertisement, arpClaim } from './dhcp/frames.ts';
import { client, laboratory, type Laboratory, rogue, until } from './dhcp/laboratory.ts';
import { network, type Station } from './dhcp/network.ts';

let lab: Laboratory;

beforeAll(async () => {
  lab = await laboratory();
});
afterAll(() => rmSync(lab.dir, { recursive: true, force: true }));

/** Adds a tunnel with the network 10.77.0.0/24, and a static route through it. */
function tunnel(station: Station): void {
  station.run('ip', 'link', 'add', 'tun0', 'type', 'veth', 'peer', 'name', 'tun1');
  for (const name of ['tun0', 'tun1']) station.run('ip', 'link', 'set', name, 'up');
  station.run('ip', 'address', 'add', '10.77.0.1/24', 'dev', 'tun0');
  station.run('ip', 'route', 'add', '198.51.100.0/24', 'via', '10.77.0.2', 'proto', 'static');
}

/** Returns the interface by which a station reaches an address. */
function device(station: Station, address: string): string | undefined {
  return / dev (\w+)/.exec(station.run('ip', 'route', 'get', address))?.[1];
}

const INSIDE = ['10.77.0.5', '10.77.0.200', '198.51.100.7', '198.51.100.9'];

const INSIDE6 = ['2001:db8:77::5', '2001:db8:78::5'];

describe.concurrent('a hostile network', () => {
  test('does not replace or shadow kernel routes, static routes and tunnels by option 121', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'captures');
    const { station, start } = client(lab, lan);
    tunnel(station);
    const before = station.run('ip', 'route');
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    await until(() => device(station, '192.0.2.9') === 'eth0');
    const routes = station.run('ip', 'route');
    for (const line of before.trim().split('\n')) expect(routes).toContain(line);
    for (const address of INSIDE) expect(device(station, address), address).toBe('tun0');
    expect(routes).not.toMatch(/10\.77\.0\.128|198\.51\.100\.7|10\.99\.0\.0\/25/);
    expect(routes).toMatch(/^default via 10\.99\.0\.1 dev eth0 proto dhcp .*metric 2048/m);
    expect(running.output()).toContain(
      'refused the route to 10.77.0.0/24, which overlaps 10.77.0.0/24',
    );
    // The renewal lacks a route.
    await until(() => station.run('ip', 'route').includes('203.0.113.0/24'));
    expect(station.run('ip', 'route')).not.toContain('192.0.2.0/24');
    await running.stop();
    for (const address of INSIDE) expect(device(station, address), address).toBe('tun0');
  });

  test('loses routes that overlap those of a tunnel that comes up later', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'captures');
    const { station, start } = client(lab, lan);
    await start().says('eth0 has 10.99.0.50/24');
    await until(() => device(station, '10.77.0.200') === 'eth0');
    tunnel(station);
    await until(() => INSIDE.every((address) => device(station, address) === 'tun0'));
    expect(device(station, '172.16.0.9')).toBe('eth0');
  });

  test('cannot take traffic from the table of WireGuard tunnels', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'captures');
    const { station, start } = client(lab, lan);
    const once = start('-1');
    expect(await once.ended, once.output()).toBe(0);
    expect(device(station, '10.77.0.200')).toBe('eth0');
    // As lk-wg-config does, while no client watches the routes.
    station.run('ip', 'link', 'add', 'tun0', 'type', 'veth', 'peer', 'name', 'tun1');
    for (const name of ['tun0', 'tun1']) station.run('ip', 'link', 'set', name, 'up');
    station.run('ip', 'rule', 'add', 'lookup', '51820', 'priority', '32000');
    for (const to of ['10.77.0.0/24', '198.51.100.0/24'])
      station.run('ip', 'route', 'add', to, 'dev', 'tun0', 'table', '51820');
    for (const address of INSIDE) expect(device(station, address), address).toBe('tun0');
  });

  test('cannot take IPv6 traffic from the table of WireGuard tunnels', async () => {
    await using lan = network();
    const attacker = lan.station('a', '10.99.0.66/24');
    const { station, start } = client(lab, lan);
    start();
    await until(() => station.run('ip', '-6', 'addr', 'show', 'eth0').includes('fe80::'));
    await until(() => !station.run('ip', '-6', 'addr', 'show', 'eth0').includes('tentative'));
    attacker.run(lab.rogue, 'eth0', advertisement({ prefixes: ['2001:db8:77::'] }));
    await until(() => /^default .* eth0/m.test(station.run('ip', '-6', 'route')));
    for (const address of INSIDE6) expect(device(station, address), address).toBe('eth0');
    // As lk-wg-config does.
    station.run('ip', 'link', 'add', 'tun0', 'type', 'veth', 'peer', 'name', 'tun1');
    for (const name of ['tun0', 'tun1']) station.run('ip', 'link', 'set', name, 'up');
    station.run('ip', '-6', 'rule', 'add', 'lookup', '51820', 'priority', '32000');
    for (const to of ['2001:db8:77::/64', '2001:db8:78::/64'])
      station.run('ip', 'route', 'add', to, 'dev', 'tun0', 'table', '51820');
    // Also when the network then advertises the prefix of a tunnel.
    attacker.run(
      lab.rogue,
      'eth0',
      advertisement({ prefixes: ['2001:db8:78::', '2001:db8:79::'] }),
    );
    await until(() => station.run('ip', '-6', 'route').includes('2001:db8:79::/64'));
    for (const address of INSIDE6) expect(device(station, address), address).toBe('tun0');
  });

  test('gets no address whose subnet is part of a tunnel', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'overlaps');
    const { station, start } = client(lab, lan);
    tunnel(station);
    const running = start();
    await running.says('refused the address 10.77.0.200/25, which overlaps 10.77.0.0/24');
    expect(station.addresses()).toEqual([]);
    for (const address of INSIDE) expect(device(station, address), address).toBe('tun0');
  });

  test('keeps its address and gateway inside a wider static route', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'grants');
    const { station, start } = client(lab, lan);
    tunnel(station);
    station.run('ip', 'route', 'add', '10.0.0.0/8', 'via', '10.77.0.2');
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    await running.says('refused the route to 10.99.0.0/24, which overlaps 10.0.0.0/8');
    await until(() => station.run('ip', 'route').includes('default via 10.99.0.1'));
    expect(station.addresses()).toEqual(['10.99.0.50/24']);
    expect(device(station, '192.0.2.1')).toBe('eth0');
    expect(device(station, '10.99.0.7')).toBe('tun0');
  });

  test('leaves a static default route in use', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'captures');
    const { station, start } = client(lab, lan);
    tunnel(station);
    station.run('ip', 'route', 'add', 'default', 'via', '10.77.0.2');
    const running = start();
    await running.says('refused the route to 192.0.2.0/24, which overlaps 0.0.0.0/0');
    await until(() => station.run('ip', 'route').includes('metric 2048'));
    for (const address of ['192.0.2.9', '203.0.113.9'])
      expect(device(station, address)).toBe('tun0');
  });

  test('does not take the address away by ARP', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'grants');
    const attacker = lan.station('a', '10.99.0.66/24');
    const { station, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    const claim = arpClaim('10.99.0.50');
    for (let round = 0; round < 4; round += 1) {
      attacker.run(lab.rogue, 'eth0', claim, claim, claim);
      await sleep(500);
    }
    await running.says('02:00:00:00:00:66 claims 10.99.0.50');
    // Renewals continue, and the log does not grow with the number of frames.
    await sleep(6000);
    expect(station.addresses()).toEqual(['10.99.0.50/24']);
    expect(running.output()).not.toContain('removing');
    expect(running.output().split('claims').length - 1).toBe(1);
  });

  test('bounds what router advertisements can do', async () => {
    await using lan = network();
    const attacker = lan.station('a', '10.99.0.66/24');
    const { station, start } = client(lab, lan);
    tunnel(station);
    station.run('ip', 'address', 'add', '2001:db8:77::1/64', 'dev', 'tun0', 'nodad');
    const running = start();
    await until(() => station.run('ip', '-6', 'addr', 'show', 'eth0').includes('fe80::'));
    await until(() => !station.run('ip', '-6', 'addr', 'show', 'eth0').includes('tentative'));
    // A route to the tunnel's network (RFC 4191), an MTU of 68, and packets of no router.
    const route = `180340080000${'0e10'.padStart(8, '0')}20010db800770000`.padEnd(48, '0');
    attacker.run(
      lab.rogue,
      'eth0',
      advertisement({ prefixes: ['2001:db8:61::'], hops: 64 }),
      advertisement({ prefixes: ['2001:db8:62::'], from: '2001:db8::66' }),
      advertisement({ prefixes: ['2001:db8:63::'], options: '0300000000000000' }),
      advertisement({
        prefixes: ['fe80::', 'ff02::', '2001:db8:77::'],
        options: `${route}0501000000000044`,
      }),
      ...Array.from({ length: 40 }, (_, n) =>
        advertisement({ from: `fe80::${n + 1}`, prefixes: [`2001:db8:1${n + 10}::`] }),
      ),
    );
    await running.says('which overlaps 2001:db8:77::/64');
    await until(() => station.addresses6().length >= 5);
    const addresses = station.addresses6();
    expect(addresses.length).toBeLessThanOrEqual(8);
    for (const prefix of ['2001:db8:61', '2001:db8:62', '2001:db8:63', '2001:db8:77'])
      expect(addresses.filter((one) => one.startsWith(prefix))).toEqual([]);
    expect(device(station, '2001:db8:77::5')).toBe('tun0');
    const routes = station.run('ip', '-6', 'route');
    expect(routes.match(/^default/gm)).toHaveLength(1);
    expect(routes).not.toMatch(/2001:db8:77:\S+ .*dev eth0/);
    expect(station.run('ip', 'link', 'show', 'eth0')).toContain('mtu 1500');
  });

  test('asks for its address again when the cable was out', async () => {
    await using lan = network();
    const server = await rogue(lan, 's', '10.99.0.1', 'leaves');
    const { station, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    lan.plug('c', 'down');
    await until(() => station.run('ip', 'link', 'show', 'eth0').includes('NO-CARRIER'));
    const before = server.output().split('request 10.99.0.50').length;
    lan.plug('c', 'up');
    await server.says('request 10.99.0.50', before);
    expect(station.addresses()).toEqual(['10.99.0.50/24']);
    expect(running.output()).not.toContain('removing');
  });

  test('configures an interface that takes the place of its own', async () => {
    await using lan = network();
    await rogue(lan, 's', '10.99.0.1', 'grants');
    const { station, start } = client(lab, lan);
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    station.run('ip', 'link', 'del', 'eth0');
    lan.connect(station, 'eth0');
    await running.says('eth0 has 10.99.0.50/24', 2);
    await until(() => station.run('ip', 'route').includes('default via 10.99.0.1 dev eth0'));
    // Also when someone sets it down and up, at which the kernel drops the routes.
    station.run('ip', 'link', 'set', 'eth0', 'down');
    station.run('ip', 'link', 'set', 'eth0', 'up');
    await until(() => station.run('ip', 'route').includes('default via 10.99.0.1 dev eth0'));
  });

  test('has a default route for each of two interfaces', async () => {
    await using lan = network();
    await using other = network();
    await rogue(lan, 's', '10.99.0.1', 'grants');
    await rogue(other, 's', '10.98.0.1', 'grants');
    const { station, start } = client(lab, lan, ['eth0', 'eth1']);
    other.connect(station, 'eth1');
    const running = start();
    await running.says('eth0 has 10.99.0.50/24');
    await running.says('eth1 has 10.98.0.50/24');
    await until(() => /^default via 10\.98\.0\.1 .* metric 2049/m.test(station.run('ip', 'route')));
    expect(station.run('ip', 'route')).toMatch(/^default via 10\.99\.0\.1 .* metric 2048/m);
    expect(device(station, '192.0.2.1')).toBe('eth0');
  });
});
