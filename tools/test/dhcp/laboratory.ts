import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildGoProgram } from '../go-program.ts';
import type { Network, Program, Station } from './network.ts';

/** A directory with the programs under test, in which clients and servers keep their files. */
export interface Laboratory {
  readonly dir: string;
  /** The DHCP client. */
  readonly dhcp: string;
  /** Sends raw frames. */
  readonly rogue: string;
}

/** A station that runs the DHCP client. */
export interface Client {
  readonly station: Station;
  /** Starts the client on `eth0`, with these flags before the name. */
  readonly start: (...flags: readonly string[]) => Program;
  /** Returns the client's resolv.conf. */
  readonly names: () => string;
}

/** Compiles the programs. The caller removes the directory. */
export async function laboratory(): Promise<Laboratory> {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-dhcp-'));
  const programs = { dhcp: join(dir, 'dhcp'), rogue: join(dir, 'rogue') };
  await buildGoProgram('pkg/dhcp', programs.dhcp);
  await buildGoProgram('tools/rogue', programs.rogue);
  return { dir, ...programs };
}

/** Connects a client. The caller connects further links than `eth0`. */
export function client(
  { dir, dhcp }: Laboratory,
  lan: Network,
  links: readonly string[] = ['eth0'],
): Client {
  const station = lan.station('c');
  // As PID 1 does.
  station.run('busybox', 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=0');
  const resolv = join(mkdtempSync(join(dir, 'c-')), 'resolv.conf');
  return {
    station,
    start: (...flags) => station.start(dhcp, '-resolv', resolv, ...flags, ...links),
    names: () => readFileSync(resolv, 'utf8'),
  };
}

/** Starts dnsmasq as the DHCP server of a range. */
export function dnsmasq(
  { dir }: Laboratory,
  station: Station,
  range: string,
  ...options: readonly string[]
): Program {
  const usual = ['-d', '-C', '/dev/null', '--port=0', '--interface=eth0', '--bind-interfaces'];
  const lease = [`--dhcp-leasefile=${mkdtempSync(join(dir, 'd-'))}/leases`, '--dhcp-authoritative'];
  const quiet = ['--no-ping', '--pid-file=', '--user=root', '--log-dhcp'];
  return station.start(
    'dnsmasq',
    ...usual,
    ...lease,
    ...quiet,
    `--dhcp-range=${range}`,
    ...options,
  );
}

/** Starts a server with a behaviour of server.ts. */
export async function rogue(
  lan: Network,
  name: string,
  address: string,
  word: string,
): Promise<Program> {
  const server = lan
    .station(name, `${address}/24`)
    .start(process.execPath, join(import.meta.dirname, 'server.ts'), address, word);
  await server.says('listening');
  return server;
}

/** Starts kea as the DHCPv6 server of a range, with a first renewal after five seconds. */
export async function kea({ dir }: Laboratory, station: Station, range: string): Promise<Program> {
  const own = mkdtempSync(join(dir, 'k-'));
  const file = join(own, 'kea.json');
  const [prefix = ''] = range.split('::');
  const options = [
    { name: 'dns-servers', data: `${prefix}::53` },
    { name: 'domain-search', data: 'example.com' },
  ];
  const settings = {
    'interfaces-config': { interfaces: ['eth0'] },
    'lease-database': { type: 'memfile', persist: false },
    'server-id': { type: 'LLT', persist: false },
    'renew-timer': 5,
    'rebind-timer': 8,
    'preferred-lifetime': 100,
    'valid-lifetime': 120,
    'option-data': options,
    subnet6: [{ id: 1, subnet: `${prefix}::/64`, interface: 'eth0', pools: [{ pool: range }] }],
    loggers: [{ name: 'kea-dhcp6', severity: 'INFO', output_options: [{ output: 'stdout' }] }],
  };
  writeFileSync(file, JSON.stringify({ Dhcp6: settings }));
  // It opens its socket once, and needs an address that is unique.
  await until(() => !station.run('ip', '-6', 'addr', 'show', 'eth0').includes('tentative'));
  const directories = [`KEA_PIDFILE_DIR=${own}`, `KEA_LOCKFILE_DIR=${own}`];
  const program = station.start('env', ...directories, 'kea-dhcp6', '-c', file);
  await program.says('DHCP6_STARTED');
  return program;
}

/** Resolves once a condition holds. Fails after a minute. */
export async function until(what: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !what(); await sleep(50))
    if (Date.now() > end) throw new Error(`not within a minute: ${String(what)}`);
}

/** Starts radvd, with the given options of the interface. */
export async function radvd(
  { dir }: Laboratory,
  station: Station,
  options: string,
): Promise<Program> {
  const file = join(mkdtempSync(join(dir, 'r-')), 'radvd.conf');
  writeFileSync(
    file,
    `interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; ${options} };\n`,
  );
  station.run('busybox', 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
  const program = station.start(
    'radvd',
    '-n',
    '-d',
    '1',
    '-m',
    'stderr',
    '-p',
    `${file}.pid`,
    '-C',
    file,
  );
  await program.says('started');
  return program;
}
