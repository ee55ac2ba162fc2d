import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { network, type Network, type Program, type Station } from '../dhcp/network.ts';
import { buildGoProgram } from '../go-program.ts';

/** A directory with the programs under test, and certificates. */
export interface Laboratory {
  readonly dir: string;
  readonly ntp: string;
  readonly chronyd: string;
}

/** The name of all time servers. */
export const NAME = 'time.test';

/** Compiles the client, and makes the certificates. The caller removes the directory. */
export async function laboratory(): Promise<Laboratory> {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-ntp-'));
  const [ntp, chronyd] = [join(dir, 'ntp'), join(dir, 'chronyd')];
  await buildGoProgram('pkg/ntp', ntp);
  // Elsewhere, AppArmor does not confine it to its own directories.
  copyFileSync('/usr/sbin/chronyd', chronyd);
  mkdirSync(join(dir, 'certs'), { mode: 0o755 });
  authority(dir, 'ca');
  authority(dir, 'other-ca');
  certificate(dir, 'good', 'ca');
  certificate(dir, 'foreign', 'other-ca');
  certificate(dir, 'expired', 'ca', [
    '-not_before',
    '20260101000000Z',
    '-not_after',
    '20260201000000Z',
  ]);
  certificate(dir, 'named', 'ca', [], 'other.test');
  copyFileSync(join(dir, 'ca.pem'), join(dir, 'certs/ca.crt'));
  return { dir, ntp, chronyd };
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function openssl(cwd: string, ...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd, stdio: 'pipe' });
}

function authority(dir: string, name: string): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl(dir, 'req', '-x509', ...EC, ...files, '-days', '3650', '-subj', `/CN=${name}`);
}

function certificate(
  dir: string,
  name: string,
  issuer: string,
  dates: readonly string[] = ['-days', '365'],
  host = NAME,
): void {
  const extension = [
    '-addext',
    `subjectAltName=DNS:${host}`,
    '-addext',
    'basicConstraints=CA:FALSE',
  ];
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  const signer = ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`];
  const times = dates.length === 0 ? ['-days', '365'] : dates;
  openssl(
    dir,
    'req',
    '-x509',
    ...EC,
    ...files,
    ...signer,
    '-subj',
    `/CN=${host}`,
    ...extension,
    ...times,
  );
}

/** Starts chrony as a time server that does not touch the clock. */
export async function chrony(
  { dir, chronyd }: Laboratory,
  station: Station,
  ...lines: readonly string[]
): Promise<Program> {
  const own = mkdtempSync(join(dir, 'chrony-'));
  const file = join(own, 'chrony.conf');
  const usual = ['local stratum 2', 'allow', 'cmdport 0', 'bindcmdaddress /', `pidfile ${own}/pid`];
  writeFileSync(file, `${[...usual, ...lines].join('\n')}\n`);
  const program = station.start(chronyd, '-d', '-x', '-u', 'root', '-f', file);
  await program.says('chronyd version');
  return program;
}

/** Returns the lines of chrony.conf for NTS with a certificate. */
export function nts({ dir }: Laboratory, name: string): readonly string[] {
  return [`ntsserverkey ${dir}/${name}.key`, `ntsservercert ${dir}/${name}.pem`];
}

/** Starts a server of this directory in a station. */
export async function server(
  station: Station,
  file: 'name-server.ts' | 'time-server.ts',
  ...words: readonly string[]
): Promise<Program> {
  const program = station.start(process.execPath, join(import.meta.dirname, file), ...words);
  await program.says('listening');
  return program;
}

/** A client that asks the name server 10.99.0.53. It has the certificates of the laboratory. */
export function client(
  { dir, ntp }: Laboratory,
  lan: Network,
): (...args: readonly string[]) => Program {
  const station = lan.station('c', '10.99.0.2/24');
  const names = join(mkdtempSync(join(dir, 'c-')), 'resolv.conf');
  writeFileSync(names, 'nameserver 10.99.0.53\noptions timeout:1 attempts:1\n');
  const script = `mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/ssl/certs && shift 2 && exec "$@"`;
  const within = ['unshare', '-m', 'sh', '-c', script, 'sh', names, join(dir, 'certs'), ntp];
  return (...args) => station.start(...within, ...args);
}

/** Makes a network with a name server that has an address for every name. */
export async function named(address: string): Promise<Network> {
  const lan = network();
  await server(lan.station('d', '10.99.0.53/24'), 'name-server.ts', 'honest', address);
  return lan;
}
