import { canonicalJson } from '@lkt/core';
import { choiceFlag } from '../../flags/options.ts';
import { SBOM_FORMATS } from '../../flags/output.ts';
import { AttestationCommand, attestationArgs, attestationFlags } from './attestation-command.ts';

async function toCycloneDx(text: string): Promise<string> {
  const { cycloneDxOf, parseSpdx } = await import('@lkt/attest');
  return canonicalJson(cycloneDxOf(parseSpdx(Buffer.from(text))));
}

export class PkgSbom extends AttestationCommand {
  static override summary = 'Print the SBOM of an image';
  static override description =
    'Every package build stores it beside the image (docs/attestations.md).';
  static override examples = ['<%= config.bin %> pkg sbom --format cyclonedx lkt/sshd@sha256:…'];
  static override args = attestationArgs;
  static override flags = {
    ...attestationFlags,
    format: choiceFlag(SBOM_FORMATS, 'SPDX 2.3 or CycloneDX 1.6, in JSON', { default: 'spdx' }),
  };

  async run(): Promise<{ documents: readonly unknown[] }> {
    const { args, flags } = await this.parse(PkgSbom);
    const format = flags.format === 'spdx' ? undefined : toCycloneDx;
    return { documents: await this.show('sbom', args.image, flags, format) };
  }
}
