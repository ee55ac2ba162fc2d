import { LktError } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { Args } from '../flags/options.ts';

export class Push extends LktCommand {
  static override summary = 'Say how an image comes to a cloud: lkt speaks to none';
  static override description =
    "LinuxKit's command of this name brings disk images to clouds. Each has a program of its own for that, which is kept up to date; the error says which.";
  static override args = {
    cloud: Args.string({ description: 'the cloud, and what goes there', multiple: true }),
  };

  async run(): Promise<never> {
    const { args } = await this.parse(Push);
    const [cloud = ''] = args.cloud ?? [];
    const known = PROGRAMS.get(cloud);
    const fix =
      known ?? 'use the program of the cloud; a package goes to a registry by lkt pkg push';
    throw new LktError('UNSUPPORTED', `lkt pushes nothing to ${cloud === '' ? 'clouds' : cloud}`, {
      fix,
    });
  }
}

/** What brings a disk there. */
const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['aws', 'aws s3 cp DISK.raw s3://BUCKET/, then aws ec2 import-snapshot and register-image'],
  ['azure', 'az storage blob upload --type page, then az image create'],
  ['gcp', 'gcloud storage cp DISK.tar.gz gs://BUCKET/, then gcloud compute images create'],
  ['equinixmetal', 'lkt serve the kernel and the initrd, and boot them by iPXE'],
  ['openstack', 'openstack image create --disk-format qcow2 --file DISK.qcow2 NAME'],
  ['scaleway', 'scw instance snapshot create, or boot the kernel and the initrd by kexec'],
  ['vcenter', 'govc import.vmdk DISK.vmdk'],
]);
