import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  client,
  dnsmasq,
  kea,
  laboratory,
  type Laboratory,
  radvd,
  until,
} from './dhcp/laboratory.ts';
import { network, type Station } from './dhcp/network.ts';

let lab: Laboratory;

beforeAll(async () => {
  lab = await laboratory();
});
afterAll(() => rmSync(lab.dir, { recursive: true, force: true }));

const SLAAC = `prefix 2001:db8:1::/64 { AdvValidLifetime 600; AdvPreferredLifetime 300; };
  RDNSS 2001:db8:1::1 {}; DNSSL example.org {};`;

/** Waits for a unique address with a prefix. */
async function address(station: Station, prefix: string): Promise<string> {
  const found = (): string | undefined =>
    station.addresses6().find((one) => one.startsWith(prefix));
  await until(() => found() !== undefined);
  await until(() => !station.run('ip', '-6', 'addr', 'show', 'dev', 'eth0').includes('tentative'));
  return found() ?? '';
}

/** Options for dnsmasq as a router that sends advertisements. */
const ROUTER = ['--enable-ra', '--ra-param=eth0,4,600'];

describe.concurrent('the IPv6 client', () => {
  test('makes a stable address from the advertisements of radvd, with routes and name servers', async () => {
    await using lan = network();
    const router = lan.station('s', '2001:db8:1::1/64');
    await radvd(lab, router, SLAAC);
    const { station, start, names } = client(lab, lan);
    const running = start();
    const own = await address(station, '2001:db8:1:');
    expect(own).toMatch(/\/64$/);
    // Not derived from the hardware address.
    expect(own).not.toMatch(/ff:fe/);
    await until(() => station.run('ip', '-6', 'route').includes('default'));
    const routes = station.run('ip', '-6', 'route');
    expect(routes).toMatch(/^default via fe80::\S+ dev eth0 proto dhcp metric 2048/m);
    expect(routes).toMatch(/^2001:db8:1::\/64 dev eth0 proto dhcp metric 2048/m);
    expect(names()).toBe('search example.org\nnameserver 2001:db8:1::1\n');
    station.run('busybox', 'ping6', '-c', '1', '2001:db8:1::1');
    expect(running.output()).toContain(`eth0 has ${own}\n`);
    expect(station.run('ip', '-6', 'addr', 'show', 'dev', 'eth0')).toMatch(
      /valid_lft (600|5\d\d)sec/,
    );
    await running.stop();
    station.run('ip', '-6', 'addr', 'flush', 'dev', 'eth0', 'scope', 'global');
    start();
    expect(await address(station, '2001:db8:1:')).toBe(own);
  });

  test('lets the kernel make private addresses, where asked', async () => {
    await using lan = network();
    await radvd(lab, lan.station('s', '2001:db8:1::1/64'), SLAAC);
    const { station, start } = client(lab, lan);
    station.run('busybox', 'sysctl', '-qw', 'net.ipv6.conf.eth0.use_tempaddr=2');
    start('-privacy');
    const shown = (): string => station.run('ip', '-6', 'addr', 'show', 'dev', 'eth0');
    await until(() => /inet6 2001:db8:1:\S+ scope global temporary/.test(shown()));
    await until(() => !shown().includes('tentative'));
    expect(station.addresses6()).toHaveLength(2);
  });

  test('takes another address when a neighbour has its own', async () => {
    await using lan = network();
    const router = lan.station('s', '2001:db8:1::1/64');
    await radvd(lab, router, SLAAC);
    const { station, start } = client(lab, lan);
    const running = start();
    const own = await address(station, '2001:db8:1:');
    await running.stop();
    station.run('ip', '-6', 'addr', 'flush', 'dev', 'eth0', 'scope', 'global');
    const neighbour = lan.station('n');
    neighbour.run('ip', 'addr', 'add', own, 'dev', 'eth0', 'nodad');
    neighbour.run('ip', 'link', 'set', 'eth0', 'up');
    start();
    await until(() => station.addresses6().some((one) => one !== own));
    await until(() => !station.addresses6().includes(own));
    expect(await address(station, '2001:db8:1:')).not.toBe(own);
  });

  test('leases an address of dnsmasq, renews it and gives it back', async () => {
    await using lan = network();
    const server = dnsmasq(
      lab,
      lan.station('s', '2001:db8:2::1/64'),
      '2001:db8:2::100,2001:db8:2::1ff,64,2m',
      ...ROUTER,
      '--dhcp-option=option6:dns-server,[2001:db8:2::53]',
      '--dhcp-option=option6:domain-search,example.net',
    );
    const { station, start, names } = client(lab, lan);
    const running = start('-release');
    expect(await address(station, '2001:db8:2:')).toMatch(/^2001:db8:2::1[\da-f]{2}\/128$/);
    await server.says('DHCPREPLY');
    expect(names()).toBe('search example.net\nnameserver 2001:db8:2::53\n');
    expect(station.run('ip', '-6', 'route')).toMatch(/^default via fe80::\S+ .*metric 2048/m);
    station.run('busybox', 'ping6', '-c', '1', '2001:db8:2::1');
    await running.stop();
    await server.says('DHCPRELEASE');
    expect(station.addresses6()).toEqual([]);
  });

  test('leases an address of kea, renews it, and takes another when kea has forgotten it', async () => {
    await using lan = network();
    const router = lan.station('s', '2001:db8:4::1/64');
    await radvd(lab, router, 'AdvManagedFlag on;');
    const first = await kea(lab, router, '2001:db8:4::100-2001:db8:4::1ff');
    const { station, start, names } = client(lab, lan);
    const running = start('-release');
    expect(await address(station, '2001:db8:4:')).toMatch(/^2001:db8:4::1[\da-f]{2}\/128$/);
    expect(names()).toBe('search example.com\nnameserver 2001:db8:4::53\n');
    await first.says('DHCP6_LEASE_RENEW');
    expect(station.addresses6()).toHaveLength(1);
    await first.stop();
    const second = await kea(lab, router, '2001:db8:4::200-2001:db8:4::2ff');
    await until(() => station.addresses6().some((one) => /^2001:db8:4::2[\da-f]{2}\//.test(one)));
    await running.stop();
    await second.says('DHCP6_RELEASE_NA ');
    expect(station.addresses6()).toEqual([]);
  });

  test('asks dnsmasq for name servers only, and makes an address', async () => {
    await using lan = network();
    const server = dnsmasq(
      lab,
      lan.station('s', '2001:db8:3::1/64'),
      '2001:db8:3::,ra-stateless,64,10m',
      ...ROUTER,
      '--dhcp-option=option6:dns-server,[2001:db8:3::53]',
    );
    const { station, start, names } = client(lab, lan);
    start();
    expect(await address(station, '2001:db8:3:')).toMatch(/\/64$/);
    await server.says('DHCPINFORMATION-REQUEST');
    await until(() => names().includes('nameserver 2001:db8:3::53\n'));
  });

  test('does without IPv4 where the network offers that', async () => {
    await using lan = network();
    const router = lan.station('s', '2001:db8:1::1/64');
    router.run('ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'eth0');
    await radvd(lab, router, SLAAC);
    const offer = ['--dhcp-option=108,00:00:02:58'];
    const server = dnsmasq(lab, router, '10.99.0.10,10.99.0.20,2m', ...offer);
    await server.says('DHCP, sockets bound');
    const { station, start } = client(lab, lan);
    const once = start('-1', '-ipv6-mostly');
    expect(await once.ended, once.output()).toBe(0);
    expect(once.output()).toContain('the network does without IPv4; asking again in 10m0s');
    expect(station.addresses()).toEqual([]);
    expect(station.addresses6()).toHaveLength(1);
    expect(server.output()).not.toContain('DHCPREQUEST');
  });
});
