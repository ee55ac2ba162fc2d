import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { LktError } from '@lkt/core';
import type { Disk, MachineOptions, MachineRecord, StartedMachine } from '@lkt/machine';
import { LktCommand } from '../command.ts';
import { bootedBuildFlags, type BootedBuildFlags } from '../flags/build.ts';
import { machineFlags } from '../flags/machine.ts';
import { noop, unsupported, warn, warnIgnored } from '../flags/linuxkit.ts';
import {
  choiceFlag,
  grouped,
  listFlag,
  requiredArgs,
  switchFlag,
  valueFlag,
} from '../flags/options.ts';
import { imageArchFlag, requireAmd64 } from '../flags/platform.ts';
import { timeLimitOf } from '../flags/durations.ts';
import { mebibytesOf } from '../flags/sizes.ts';
import {
  type BootableImage,
  buildBootable,
  builtBefore,
  minimumMemory,
  namesConfigs,
  servicePublications,
} from '../machines/image-source.ts';
import type { AsCalled } from '../help/as-called.ts';
import { runRecorded } from '../machines/recorded-run.ts';
import { buildReport } from '../output/build-report.ts';
import { BOOT_FORMS, openTimelines } from '../output/timeline-files.ts';
import type { Session } from '../session/session.ts';

/** LinuxKit's other backends, with what to do instead. */
const BACKENDS: ReadonlyMap<string, string> = new Map([
  ['aws', 'lkt build --format aws, and start it with the aws program'],
  ['azure', 'lkt build --format vhd, and start it with the az program'],
  ['equinixmetal', 'lkt serve the kernel and the initrd, and boot them by iPXE'],
  ['gcp', 'lkt build --format gcp, and start it with the gcloud program'],
  ['hyperkit', 'lkt run IMAGE'],
  ['hyperv', 'lkt build --format vhd, and start it with Hyper-V'],
  ['openstack', 'lkt build --format qcow2-bios, and start it with the openstack program'],
  ['scaleway', 'lkt build --format raw-efi, and start it with the scw program'],
  ['vbox', 'lkt build --format iso-bios or vmdk, and start it with VBoxManage'],
  ['vcenter', 'lkt build --format vmdk, and start it with the govc program'],
  ['virtualization', 'lkt run IMAGE'],
  ['vmware', 'lkt build --format vmdk, and start it with vmrun'],
]);

const METADATA = 'lkt metadata create data.iso TEXT, and --disk data.iso';

export class Run extends LktCommand {
  static override summary = 'Boot an image in QEMU';
  static override description = `The image is one of these:

- a config, or several to merge: built as "lkt build --dir out" does, with a free port of this machine for each port on which its services listen (EXPOSE in their Dockerfiles)
- PREFIX-kernel, PREFIX-initrd.img and PREFIX-cmdline
- a root disk, PREFIX-erofs.img, PREFIX-squashfs.img or PREFIX.iso, with its kernel and command line; PREFIX selects it if there is no initrd
- a bootable disk, ISO image or EFI program, with the firmware it is made for

The console is on standard input and output. On a terminal, Ctrl-A x ends the machine, and Ctrl-C goes to the guest. With --expect, --console-log or --json there is no input, and Ctrl-C ends the machine. The guest writes to its boot disk.

Exits with 0 when the machine powers off, restarts, or has shown every expected text; with 1 on a kernel panic, or if it ends or times out before that.`;
  static override examples = [
    '<%= config.bin %> run images/my-os.yml',
    '<%= config.bin %> run sshd --publish 127.0.0.1:2222:22',
    '<%= config.bin %> run minimal --expect "lkt: boot complete" --timeout 120',
  ];
  static override args = {
    image: requiredArgs('a config, or the image as PREFIX or a file; may follow the word "qemu"'),
  };
  static override flags = {
    ...bootedBuildFlags,
    ...machineFlags,
    publish: listFlag('[ADDR:]PORT:PORT[/udp]', 'forward a host port to the guest', {
      description:
        'Only this machine can connect unless an address is given. Host port 0 picks a free port and prints it.',
    }),
    disk: listFlag(
      'PATH[,size=1G][,format=raw|qcow2]',
      'disk, created if missing; the first is /dev/vda',
      {
        description:
          'A size without unit is in MiB. Without PATH the file is PREFIX-disk.img. The format is raw unless PATH ends in .qcow2.',
      },
    ),
    expect: listFlag(
      'TEXT',
      'text on the console; the run succeeds once all have appeared, in any order',
    ),
    timeout: valueFlag('DURATION', 'time limit, such as 90s or 10m'),
    'console-log': valueFlag('FILE', 'file for the console output, instead of standard output'),
    timeline: listFlag('FILE', 'file for a timeline of the boot, .svg or .json (docs/guest.md)'),
    uefi: switchFlag('boot with EFI firmware; with --no-uefi, with a BIOS', {
      allowNo: true,
    }),
    networking: choiceFlag(['user', 'none'], 'network of the guest', { default: 'user' }),
    ...grouped('BUILD', imageArchFlag),
  };

  static override linuxkit = {
    data: unsupported('value', METADATA),
    'data-file': unsupported('value', METADATA),
    detached: unsupported('switch', 'run it in the background of the shell, with --console-log'),
    device: unsupported('value', 'run QEMU directly'),
    fw: warnIgnored('value', 'lkt finds the firmware in the usual directories of distributions'),
    gui: unsupported('switch', 'the console is the terminal'),
    iso: noop(),
    kernel: noop(),
    squashfs: noop(),
    state: warnIgnored('value', 'lkt keeps only the disks of a machine'),
    usb: unsupported('switch', 'run QEMU directly'),
    virtiofs: unsupported('value', 'run QEMU directly'),
    virtiofsd: unsupported('value', 'run QEMU directly'),
  };

  async run(): Promise<object> {
    const [backend = '', ...more] = this.words;
    const instead = BACKENDS.get(backend);
    const unsupportedBackend = new LktError(
      'UNSUPPORTED',
      `lkt runs images in QEMU only, not with ${backend}`,
      { fix: instead },
    );
    if (instead !== undefined && more.length > 0) throw unsupportedBackend;
    const { args, flags } = await this.parse(Run);
    const timeoutMs =
      flags.timeout === undefined ? undefined : timeLimitOf('--timeout', flags.timeout);
    const memory = mebibytesOf('--mem', flags.mem);
    requireAmd64(flags.arch, 'boots');
    const words = withoutBackend(args.image);
    if (!namesConfigs(words)) requireOne(words);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const machine = await import('@lkt/machine');
    const given = (flags.publish ?? []).map(machine.parsePublishedPort);
    const parsedDisks = (flags.disk ?? []).map(machine.parseDisk);
    const { name, prefix, built } = await this.#image(session, words, flags);
    const files =
      (await machine.findBootMedium(prefix, flags.uefi)) ??
      (await machine.findBootFiles(prefix).catch((error: unknown) => {
        // No image has the name of the backend.
        throw instead === undefined ? error : unsupportedBackend;
      }));
    const timelines = await openTimelines(flags.timeline ?? [], cwd, BOOT_FORMS);
    const output = await openOutput(flags['console-log'], cwd, this.jsonEnabled());
    const interactive = !output.isFile && flags.expect === undefined && !this.jsonEnabled();
    const isUserNetwork = flags.networking === 'user';
    const services = isUserNetwork ? servicePublications(built?.ports ?? [], given) : [];
    const say = (text: string): void => {
      if (!flags.quiet) process.stderr.write(`${text}\n`);
    };
    const options: MachineOptions = {
      files,
      memory,
      minimumMemory: await minimumMemory(files),
      cpus: flags.cpus,
      publish: [...given, ...services],
      disks: namedDisks(parsedDisks, cwd, prefix),
      network: isUserNetwork,
      console: output.console,
      interactive,
      accelerator: flags.accel,
      acceleratorCache: resolve(session.cacheDir, 'kvm.json'),
      signal: session.signal,
      expect: flags.expect,
      timeoutMs,
      onTimeline: timelines?.write,
      qemu: flags.qemu,
      onStart: (started) => {
        for (const line of startLines(started)) say(line);
        if (interactive && process.stdin.isTTY) say('Ctrl-A x ends the machine');
      },
    };
    this.endProgress();
    const onRecord = (record: MachineRecord, ended: AbortSignal): void => {
      if (!flags.quiet) void sayLogin(record, ended, say, this.asCalled);
    };
    try {
      const result = await runRecorded(
        session,
        { name, services: built?.services },
        options,
        onRecord,
      );
      return { ...result, seconds: Math.round(result.seconds * 10) / 10 };
    } finally {
      await timelines?.finished();
      await output.close();
    }
  }

  /** Returns the image that the command line names, and builds it from configs. */
  async #image(
    session: Session,
    words: readonly string[],
    flags: BootedBuildFlags,
  ): Promise<BootableImage> {
    if (!namesConfigs(words)) return builtBefore(session, words[0] ?? '', flags);
    const image = await buildBootable(session, words, flags);
    warn(session.reporter, image.built.warnings);
    this.endProgress();
    const lines = buildReport(image.built, session.environment.cwd);
    if (!this.jsonEnabled())
      process.stderr.write(lines.map((line) => `${this.asCalled(line)}\n`).join(''));
    return image;
  }
}

/** The stream that receives the console of the guest. */
interface ConsoleOutput {
  readonly console: Writable;
  readonly isFile: boolean;
  /** Ends a file. @throws Error if writing it failed */
  close(): Promise<void>;
}

/** Opens the file of `--console-log`; without one, returns a standard stream. */
async function openOutput(
  file: string | undefined,
  cwd: string,
  isJson: boolean,
): Promise<ConsoleOutput> {
  if (file === undefined) {
    const console = isJson ? process.stderr : process.stdout;
    return { console, isFile: false, close: () => Promise.resolve() };
  }
  const stream = (await open(resolve(cwd, file), 'w')).createWriteStream();
  // `finished` throws its errors.
  stream.on('error', () => undefined);
  return { console: stream, isFile: true, close: () => finished(stream.end()) };
}

/** Returns the lines printed before a boot: missing KVM, and forwarded ports. */
function startLines({ accelerator, publish }: StartedMachine): readonly string[] {
  const { name, reason } = accelerator;
  return [
    ...(name === 'tcg' && reason !== undefined ? [`running without KVM: ${reason}`] : []),
    ...publish.map(
      ({ address, hostPort, guestPort, protocol }) =>
        `${address}:${hostPort} forwards to port ${guestPort} (${protocol}) of the machine`,
    ),
  ];
}

/** Prints how to log in, once the machine's ssh server answers. */
async function sayLogin(
  { name, ports }: MachineRecord,
  ended: AbortSignal,
  say: (text: string) => void,
  asCalled: AsCalled,
): Promise<void> {
  const { sshAnswers } = await import('@lkt/machine');
  const server = ports.find(({ guestPort, protocol }) => guestPort === 22 && protocol === 'tcp');
  if (server === undefined || !(await sshAnswers(server, ended))) return;
  say(
    `log in: ${asCalled(`lkt ssh ${name}`)}, or ssh -p ${server.hostPort} root@${server.address}`,
  );
}

/** Returns the words without the backend that LinuxKit's command line names before the image. */
function withoutBackend(words: readonly string[]): readonly string[] {
  return words[0] === 'qemu' && words.length > 1 ? words.slice(1) : words;
}

/** @throws LktError USAGE_INVALID */
function requireOne(words: readonly string[]): void {
  if (words.length === 1) return;
  throw new LktError('USAGE_INVALID', `lkt runs one image at a time, not ${words.length}`, {
    fix: 'give one PREFIX, or only configs',
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
