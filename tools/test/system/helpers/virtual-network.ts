import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lkt.ts';

/** A bridge of a network namespace, with a DHCP server. */
export interface VirtualNetwork extends AsyncDisposable {
  /** Words before a command that runs it in the namespace, in the checkout. */
  readonly under: readonly string[];
}

/**
 * Makes the bridge `lkt0` as docs/fleet/qemu.md does, and serves `examples/fleet/dnsmasq.conf`, in
 * namespaces of their own: nothing of this machine changes. Needs root.
 * @param dir an empty directory for a copy of `/etc`
 */
export async function virtualNetwork(dir: string): Promise<VirtualNetwork> {
  const etc = join(dir, 'etc');
  mkdirSync(join(etc, 'qemu'), { recursive: true });
  const steps = [
    `cp -a /etc/. ${etc}`,
    `echo 'allow lkt0' > ${etc}/qemu/bridge.conf`,
    `mount --bind ${etc} /etc`,
    'ip link set lo up',
    'ip link add lkt0 type bridge',
    'ip address add 10.77.0.1/24 dev lkt0',
    'ip link set lkt0 up',
    'echo ready',
    `exec dnsmasq -k -C examples/fleet/dnsmasq.conf --user=root --pid-file= --dhcp-leasefile=${join(dir, 'leases')}`,
  ];
  const args = ['--net', '--mount', 'sh', '-c', steps.join(' && ')];
  const server = spawn('unshare', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = once(server, 'close');
  await Promise.race([
    once(server.stdout, 'data'),
    ended.then(() => {
      throw new Error(`the network could not be made: ${errors}`);
    }),
  ]);
  return {
    under: ['nsenter', '--net', '--mount', '--target', String(server.pid), `--wdns=${root}`],
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await ended;
    },
  };
}
