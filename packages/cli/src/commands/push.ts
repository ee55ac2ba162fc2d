import { LktError } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { optionalArgs } from '../flags/options.ts';

export class Push extends LktCommand {
  static override summary = 'Explain how to upload an image to a cloud';
  static override description =
    "lkt uploads no disk images, unlike LinuxKit. The error names the cloud's own program for it.";
  static override examples = ['<%= config.bin %> push gcp DISK.tar.gz'];
  static override args = {
    cloud: optionalArgs("the cloud, followed by LinuxKit's arguments"),
  };

  run(): Promise<never> {
    // The flags are LinuxKit's, of each cloud.
    const cloud = this.words.find((word) => !word.startsWith('-')) ?? '';
    const known = PROGRAMS.get(cloud);
    const fix =
      known ?? "use the cloud's own program; to push a package to a registry: lkt pkg push";
    const message = `lkt does not push to ${cloud === '' ? 'clouds' : cloud}`;
    return Promise.reject(new LktError('UNSUPPORTED', message, { fix }));
  }
}

/** The commands that upload a disk to each cloud. */
const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['aws', 'aws s3 cp DISK.raw s3://BUCKET/, then aws ec2 import-snapshot and register-image'],
  ['azure', 'az storage blob upload --type page, then az image create'],
  ['gcp', 'gcloud storage cp DISK.tar.gz gs://BUCKET/, then gcloud compute images create'],
  ['equinixmetal', 'lkt serve the kernel and the initrd, and boot them by iPXE'],
  ['openstack', 'openstack image create --disk-format qcow2 --file DISK.qcow2 NAME'],
  ['scaleway', 'scw instance snapshot create, or boot the kernel and the initrd by kexec'],
  ['vcenter', 'govc import.vmdk DISK.vmdk'],
]);
