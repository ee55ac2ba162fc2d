import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { network, type Station } from './dhcp/network.ts';
import { buildGoProgram } from './go-program.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-ip-'));
const program = join(dir, 'ip');

beforeAll(async () => buildGoProgram('pkg/ip', program));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the commands of a file, with only the capabilities of the package. */
async function batch(station: Station, lines: string): Promise<{ status: number; said: string }> {
  const file = join(mkdtempSync(join(dir, 'b-')), 'batch');
  writeFileSync(file, lines);
  const confined = ['setpriv', '--no-new-privs', '--bounding-set=-all,+net_admin'];
  const done = station.start(...confined, program, '-b', file);
  return { status: (await done.ended) ?? -1, said: done.output().replaceAll(file, 'FILE') };
}

/**
 * Returns addresses, links and routes as iproute2 prints them, without those that the kernel adds,
 * once the kernel has settled them.
 */
function seen(station: Station): string {
  const families = ['-4', '-6'];
  const parts = [
    station.run('ip', '-o', 'addr', 'show'),
    station.run('ip', '-o', '-details', 'link', 'show'),
    ...families.map((family) => station.run('ip', family, 'route', 'show', 'table', 'all')),
    ...families.map((family) => station.run('ip', family, 'rule', 'show')),
  ];
  return parts
    .join('')
    .split('\n')
    .filter((line) => !/fe80::|ff00::/.test(line))
    .map((line) =>
      line.replace(/^\d+: /, '').replaceAll(/(?<=_lft )\d+sec|link-netns \S+|@if\d+/g, ''),
    )
    .map((line) =>
      line
        .replaceAll(/(?<=gc_timer|_timer|topology_change_timer) +\S+/g, '')
        .replaceAll(/ +/g, ' '),
    )
    .join('\n');
}

describe.concurrent('ip', () => {
  test("runs LinuxKit's static-ip.yml", async () => {
    await using lan = network();
    const station = lan.station('c');
    const lines =
      'address add 10.10.1.225/24 dev eth0\nlink set eth0 up\nroute add default via 10.10.1.100 dev eth0\n';
    expect(await batch(station, lines)).toEqual({ status: 0, said: '' });
    expect(station.addresses()).toEqual(['10.10.1.225/24']);
    expect(station.run('ip', 'route')).toContain('default via 10.10.1.100 dev eth0 \n');
    const shown = station.run(program, 'addr', 'show', 'eth0');
    expect(shown).toMatch(/^\d+: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\n/);
    expect(shown).toContain('    inet 10.10.1.225/24 scope global\n');
    expect(station.run(program, 'r')).toBe(station.run('ip', 'route').replaceAll(' \n', '\n'));
  });

  test('configures a machine as iproute2 does', async () => {
    await using lan = network();
    const lines = `
      link set lo up
      link add name br7 address 02:00:00:00:00:07 mtu 1400 type bridge
      link add v0 address 02:00:00:00:00:08 type veth peer name v1
      link set dev v1 address 02:00:00:00:00:09 master br7 up
      link set v0 up mtu 1300 promisc on
      link set br7 up alias "to the lab"
      addr add 192.0.2.5/24 brd + dev br7 label br7:1 noprefixroute
      addr add 192.0.2.77 peer 192.0.2.78 dev v0 scope link
      addr add 2001:db8::5/64 dev br7 nodad
      addr add 198.51.100.1/24 dev br7 valid_lft 4000 preferred_lft 3000
      addr del 192.0.2.5/24 dev br7
      a replace 192.0.2.6/25 dev br7
      link set eth0 address 02:00:00:00:00:06 up
      rule add from all lookup 51820 priority 32000
      rule add not fwmark 0xca6c to 10.0.0.0/8 table 300 pref 31000
      rule add from 192.0.2.0/24 table 7 pref 100
      rule del pref 100 from 192.0.2.0/24 table 7
      route add 203.0.113.0/25 via 192.0.2.1 dev br7 metric 7 src 192.0.2.6 mtu 1280
      ro add default via 198.51.100.9 onlink dev eth0 proto static table 300
      route add blackhole 10.0.0.0/8
      route add 10.1.0.0/16 dev br7
      route add 10.2.0.0/16 dev br7
      route del 10.2.0.0/16
      route replace 10.1.0.0/16 via 192.0.2.9
      route add 2001:db8:1::/48 via 2001:db8::9
      route add unreachable 2001:db8:2::/48
`;
    const [ours, theirs] = [lan.station('c'), lan.station('d')];
    expect(await batch(ours, lines)).toEqual({ status: 0, said: '' });
    const file = join(dir, 'theirs');
    writeFileSync(file, lines);
    theirs.run('ip', '-b', file);
    // Linux notices the carrier of a veth within a second.
    await vi.waitFor(() => expect(seen(ours)).toBe(seen(theirs)), 10_000);
    expect(seen(ours)).toContain('203.0.113.0/25 via 192.0.2.1 dev br7 src 192.0.2.6 metric 7');
    expect(await batch(ours, 'addr flush dev br7\nlink del v0\n')).toMatchObject({ status: 0 });
    expect(ours.run('ip', '-4', 'addr', 'show', 'br7')).toBe('');
    expect(ours.run('ip', 'link')).not.toContain('v1');
  });

  test("reports the kernel's error and its line", async () => {
    await using lan = network();
    const station = lan.station('c', '10.0.0.1/24');
    for (const [line, words] of [
      ['address add 10.0.0.1/24 dev eth0', 'file exists'],
      ['route add default via 192.0.2.1', 'network is unreachable: Nexthop has invalid gateway'],
      [
        'link add w type wireguard',
        'the kernel does not support wireguard\n  fix: load its module',
      ],
    ])
      expect(await batch(station, `# a comment\n${line}\n`)).toEqual({
        status: 1,
        said: expect.stringContaining(`ip: error: FILE:2: ${line}: ${words}`) as string,
      });
  });
});
