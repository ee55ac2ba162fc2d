import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { guardedDirectory } from '@lkt/testing/guarded-directory';

/** A BMC, by OpenIPMI's simulator, that switches a QEMU. */
export interface IpmiTestMachine extends AsyncDisposable {
  readonly bmc: string;
  /** Ends QEMU without the BMC's doing. */
  readonly kill: () => Promise<void>;
  /** Returns what the guest wrote to its serial port. */
  readonly console: () => Promise<string>;
  /** Returns the boot device that was set last. */
  readonly bootDevice: () => Promise<string>;
}

const AUTHENTICATIONS = 'none md2 md5 straight';

/**
 * Starts a BMC, whose machine is off. The user is `admin`, the password `test`.
 * @param devices QEMU's arguments for devices
 */
export async function startIpmiMachine(devices: readonly string[]): Promise<IpmiTestMachine> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(guardedDirectory('lkt-bmc-'));
  const path = (name: string): string => join(dir.path, name);
  const port = await freePort();
  const qemu = [
    'qemu-system-x86_64 -nodefaults -no-user-config -display none -machine pc -accel tcg -m 64',
    `-serial file:${path('console')} -daemonize -pidfile ${path('qemu.pid')}`,
    ...devices,
  ];
  // The simulator calls it with ADDRESS get|set NAME [VALUE].
  const chassis = `#!/bin/sh
cd ${dir.path} || exit 1
running() { kill -0 "$(cat qemu.pid 2>/dev/null)" 2>/dev/null; }
case "$2 $3 $4" in
'get boot '*) echo "boot:$(cat boot 2>/dev/null || echo default)" ;;
'set boot '*) echo "$4" >boot ;;
'get power '*) if running; then echo power:1; else echo power:0; fi ;;
'set power 1') running || ${qemu.join(' ')} ;;
'set power 0') running && kill -9 "$(cat qemu.pid)"; rm -f qemu.pid ;;
esac
`;
  await writeFile(path('chassis'), chassis);
  await chmod(path('chassis'), 0o755);
  const allowed = ['callback', 'user', 'operator', 'admin'].map(
    (level) => `    allowed_auths_${level} ${AUTHENTICATIONS}`,
  );
  const config = [
    'name "machine"',
    'set_working_mc 0x20',
    '  startlan 1',
    `    addr 127.0.0.1 ${port}`,
    '    priv_limit admin',
    ...allowed,
    '    guid a123456789abcdefa123456789abcdef',
    '  endlan',
    `  chassis_control "${path('chassis')} 0x20"`,
    `  user 1 true "" "test" user 10 ${AUTHENTICATIONS}`,
    `  user 2 true "admin" "test" admin 10 ${AUTHENTICATIONS}`,
    '',
  ];
  await writeFile(path('lan.conf'), config.join('\n'));
  const controller = [
    'mc_setbmc 0x20',
    'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr',
    'sel_enable 0x20 1000 0x0a',
    'mc_enable 0x20',
    '',
  ];
  await writeFile(path('controller'), controller.join('\n'));
  const files = ['-c', path('lan.conf'), '-f', path('controller'), '-s', path('state')];
  const simulator = spawn('ipmi_sim', [...files, '-n'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(simulator.stdout, 'data');
  simulator.stdout.resume();
  const kill = async (): Promise<void> => {
    const pid = await readFile(path('qemu.pid'), 'utf8').catch(() => '');
    if (pid !== '') process.kill(Number(pid), 'SIGKILL');
  };
  stack.defer(async () => {
    simulator.kill('SIGKILL');
    await kill().catch(() => undefined);
  });
  const owned = stack.move();
  return {
    bmc: `127.0.0.1:${port}`,
    kill,
    console: async () => readFile(path('console'), 'latin1').catch(() => ''),
    bootDevice: async () => (await readFile(path('boot'), 'utf8')).trim(),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
