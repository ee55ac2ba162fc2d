import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const OVMF = '/usr/share/OVMF';
/** A key that Debian's ovmf trusts in its variable store for tests. */
const SNAKEOIL = '/usr/share/ovmf/PkKek-1-snakeoil';

/** The key that the firmware of {@link bootSecurely} trusts, and its certificate, as PEM. */
export interface FirmwareKey {
  readonly key: string;
  readonly certificate: string;
}

/** Writes the firmware's key, without a password, to `dir`. */
export function firmwareKey(dir: string): FirmwareKey {
  const key = join(dir, 'firmware.key');
  const pass = ['-passin', 'pass:snakeoil'];
  execFileSync('openssl', ['rsa', '-in', `${SNAKEOIL}.key`, ...pass, '-out', key], {
    stdio: 'ignore',
  });
  return { key, certificate: `${SNAKEOIL}.pem` };
}

/**
 * Boots the disks in firmware with Secure Boot until the console has printed all texts, and returns
 * its output.
 *
 * @param disks the first one has the EFI program
 * @param log where the console is written; the firmware's variables are stored next to it
 * @param more further arguments of QEMU
 */
export async function bootSecurely(
  disks: readonly string[],
  log: string,
  texts: readonly string[],
  more: readonly string[] = [],
): Promise<string> {
  rmSync(log, { force: true });
  const variables = `${log}-variables`;
  copyFileSync(`${OVMF}/OVMF_VARS_4M.snakeoil.fd`, variables);
  const flash = 'if=pflash,format=raw';
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ['-nodefaults', '-display', 'none', '-no-reboot', '-m', '1024', '-cpu', 'max'],
      ['-accel', 'tcg,thread=multi', '-machine', 'q35,smm=on'],
      ['-global', 'driver=cfi.pflash01,property=secure,value=on'],
      ['-drive', `${flash},readonly=on,file=${OVMF}/OVMF_CODE_4M.secboot.fd`],
      ['-drive', `${flash},file=${variables}`, '-serial', `file:${log}`],
      ...disks.flatMap((disk, index) => [
        ['-drive', `file=${disk},format=raw,if=none,id=disk${index}`],
        ['-device', `virtio-blk-pci,drive=disk${index},bootindex=${index}`],
      ]),
      more,
    ].flat(),
    { stdio: 'ignore' },
  );
  const console = (): string => (existsSync(log) ? readFileSync(log, 'latin1') : '');
  try {
    const end = Date.now() + 600_000;
    for (;;) {
      const missing = texts.filter((text) => !console().includes(text));
      if (missing.length === 0) break;
      if (qemu.exitCode !== null || Date.now() > end)
        throw new Error(`missing console output ${missing.join(', ')}:\n${console().slice(-3000)}`);
      await sleep(100);
    }
  } finally {
    await ended(qemu);
  }
  return console();
}

/** Ends a process. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
}
