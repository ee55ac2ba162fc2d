import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { LktError } from '@lkt/core';
import type { Disk, MachineOptions } from '@lkt/machine';
import { LktCommand } from '../command.ts';
import { noop, unsupported, warnIgnored } from '../flags/linuxkit.ts';
import { Args, Flags } from '../flags/options.ts';
import { openTimelines } from '../output/timeline-files.ts';

const METADATA = 'lkt metadata create data.iso TEXT, and --disk data.iso';

export class Run extends LktCommand {
  static override summary = 'Boot an image in QEMU';
  static override description = `The image is the three files PREFIX-kernel, PREFIX-initrd.img and PREFIX-cmdline, as "lkt build" writes them; or the root of an image as a disk, PREFIX-erofs.img, PREFIX-squashfs.img or PREFIX.iso, with the kernel and the command line beside it, which PREFIX stands for too where there is no initrd; or one file that boots by itself: a disk (NAME-efi.img, NAME.qcow2, …), an ISO image, an EFI program (NAME.efi). Firmware is EFI where that is what the file is made for. The guest writes on the disk that it boots from.

Its console is on standard input and output. On a terminal Ctrl-A x ends the machine, and Ctrl-C goes to the guest. With --expect, --console-log or --json nothing is read, and Ctrl-C ends the machine.

The exit code is 0 when the machine powers off, restarts, or has shown every text that was expected; 1 when its kernel panics, or when it ends or time runs out before.`;
  static override examples = [
    '<%= config.bin %> run sshd --publish 127.0.0.1:2222:22',
    '<%= config.bin %> run sshd-efi.qcow2',
    '<%= config.bin %> run minimal --expect "lkt: boot complete" --timeout 120',
  ];
  static override args = {
    prefix: Args.string({
      description: 'the image, as PREFIX or a file; "qemu" may stand before it',
      required: true,
      multiple: true,
    }),
  };
  static override flags = {
    mem: Flags.integer({
      summary: 'memory, in MiB',
      default: 1024,
      min: 1,
      helpValue: 'MIB',
      aliases: ['memory'],
    }),
    cpus: Flags.integer({ summary: 'processors', default: 1, min: 1, max: 255, helpValue: 'N' }),
    publish: Flags.string({
      summary: 'lead a port of this machine into the guest; repeat for more',
      description:
        'Only this machine can connect (127.0.0.1) unless an address is given. Host port 0 takes any free one and prints it.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '[ADDR:]PORT:PORT[/udp]',
    }),
    disk: Flags.string({
      summary: 'a disk, made if it is absent; repeat for more, /dev/vda first',
      description:
        'A size without unit is in MiB. Without PATH the file is PREFIX-disk.img. The format is raw unless PATH ends in .qcow2.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'PATH[,size=1G][,format=raw|qcow2]',
    }),
    expect: Flags.string({
      summary: 'end well once the console has shown this; repeat for more, in any order',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'TEXT',
    }),
    timeout: Flags.string({ summary: 'seconds after which to give up', helpValue: 'SECONDS' }),
    'console-log': Flags.string({
      summary: 'write the console to this file instead of standard output',
      helpValue: 'FILE',
    }),
    timeline: Flags.string({
      summary: 'write what the guest did when, until its boot was complete; repeat for more forms',
      description:
        'In seconds, as PID 1 says them on the console. A picture if FILE ends in .svg, data if in .json. What PID 1 says is in docs/guest.md.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'FILE',
    }),
    uefi: Flags.boolean({
      summary: 'boot the disk or ISO image by EFI, or with --no-uefi by a BIOS',
      allowNo: true,
    }),
    networking: Flags.option({ options: ['user', 'none'] as const })({
      summary: "the guest's network",
      default: 'user',
    }),
    accel: Flags.option({ options: ['auto', 'kvm', 'tcg'] as const })({
      summary: 'how the guest runs: auto is kvm if it works here, else software',
      default: 'auto',
    }),
    qemu: Flags.string({ summary: 'the QEMU program', helpValue: 'PROGRAM' }),
    arch: Flags.option({ options: ['amd64'] as const })({
      summary: 'architecture of the image',
      default: 'amd64',
    }),
  };

  static override linuxkit = {
    data: unsupported('value', METADATA),
    'data-file': unsupported('value', METADATA),
    detached: unsupported('switch', 'let the shell start it in the background, with --console-log'),
    device: unsupported('value', 'start QEMU itself'),
    fw: warnIgnored('value', 'the firmware is found where distributions have it'),
    gui: unsupported('switch', 'the console is the terminal'),
    iso: noop(),
    kernel: noop(),
    squashfs: noop(),
    state: warnIgnored('value', 'nothing is kept of a machine but its disks'),
    usb: unsupported('switch', 'start QEMU itself'),
    virtiofs: unsupported('value', 'start QEMU itself'),
    virtiofsd: unsupported('value', 'start QEMU itself'),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Run);
    const prefix = onlyImage(args.prefix);
    const timeoutMs = flags.timeout === undefined ? undefined : milliseconds(flags.timeout);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const machine = await import('@lkt/machine');
    const publish = (flags.publish ?? []).map(machine.parsePublishedPort);
    const disks = namedDisks((flags.disk ?? []).map(machine.parseDisk), cwd, prefix);
    const medium = await machine.findBootMedium(resolve(cwd, prefix), flags.uefi);
    const files = medium ?? (await machine.findBootFiles(resolve(cwd, prefix)));
    const timelines = await openTimelines(flags.timeline ?? [], cwd);
    const log = flags['console-log'];
    const detached = log !== undefined || flags.expect !== undefined || this.jsonEnabled();
    const logStream =
      log === undefined ? undefined : (await open(resolve(cwd, log), 'w')).createWriteStream();
    // `finished` throws what went wrong with it.
    logStream?.on('error', () => undefined);
    const output = logStream ?? (this.jsonEnabled() ? process.stderr : process.stdout);
    const say = (text: string): void => {
      if (!flags.quiet) process.stderr.write(`${text}\n`);
    };
    const options: MachineOptions = {
      files,
      memory: flags.mem,
      cpus: flags.cpus,
      publish,
      disks,
      network: flags.networking === 'user',
      console: output,
      interactive: !detached,
      accelerator: flags.accel,
      acceleratorCache: resolve(session.cacheDir, 'kvm.json'),
      signal: session.signal,
      expect: flags.expect,
      timeoutMs,
      onTimeline: timelines?.write,
      qemu: flags.qemu,
      onStart: (started) => {
        const { name, reason } = started.accelerator;
        if (name === 'tcg' && reason !== undefined) say(`running without KVM: ${reason}`);
        for (const { address, hostPort, guestPort, protocol } of started.publish)
          say(`${address}:${hostPort} leads to port ${guestPort} (${protocol}) of the machine`);
        if (!detached && process.stdin.isTTY) say('Ctrl-A x ends the machine');
      },
    };
    this.endProgress();
    const minimumMemory =
      'kind' in files || files.initrd === undefined ? 0 : await minimumOf(files.initrd);
    try {
      const result = await machine.runMachine({ ...options, minimumMemory });
      return { ...result, seconds: Math.round(result.seconds * 10) / 10 };
    } finally {
      await timelines?.finished();
      if (logStream !== undefined) await finished(logStream.end());
    }
  }
}

async function minimumOf(initrd: string): Promise<number> {
  const { readInitrdInfo } = await import('@lkt/image');
  return (await readInitrdInfo(initrd))?.minimumMemory ?? 0;
}

/** LinuxKit names the backend before the image; there is one here. */
function onlyImage(words: readonly string[]): string {
  const [first = '', second, ...more] = words;
  if (second === undefined) return first;
  if (first === 'qemu' && more.length === 0) return second;
  throw new LktError('USAGE_INVALID', `one image is run at a time, not ${words.length}`, {
    fix: 'give one PREFIX',
  });
}

function milliseconds(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|)$/.exec(text) ?? [];
  const seconds = Number(number) * (unit === 'm' ? 60 : 1);
  // Longer than a timer can be set for is as good as for ever.
  if (seconds > 0 && seconds < 2_000_000) return seconds * 1000;
  throw new LktError('USAGE_INVALID', `--timeout ${text} is not a time`, {
    fix: 'give seconds, such as --timeout 60',
  });
}

function namedDisks(
  disks: readonly Disk[],
  cwd: string,
  prefix: string,
): readonly (Disk & { readonly path: string })[] {
  return disks.map((disk, index) => ({
    ...disk,
    path: resolve(cwd, disk.path ?? `${prefix}-disk${index === 0 ? '' : index}.img`),
  }));
}
