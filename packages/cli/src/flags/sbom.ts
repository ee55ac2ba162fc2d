import { Flags } from './options.ts';

/** What is written about an image beside it. */
export const sbomFlags = {
  sbom: Flags.boolean({
    summary:
      'write NAME-sbom.spdx.json too: what is in all the images, in SPDX 2.3; the default without --o',
    allowNo: true,
  }),
  provenance: Flags.boolean({
    summary:
      'write NAME-provenance.json too: what the image was made from; the default without --o',
    allowNo: true,
  }),
  'sbom-output': Flags.string({
    summary: 'put the SBOM into the image too, at this path; as --sbom',
    helpValue: 'PATH',
  }),
};

/** Whether there is an SBOM, and where in the image. LinuxKit's flags, but nothing is put into an image unasked. */
export function sbomOf(flags: {
  readonly o?: string | undefined;
  readonly sbom?: boolean | undefined;
  readonly 'sbom-output'?: string | undefined;
}): { readonly sbom?: { readonly path?: string } } {
  const path = flags['sbom-output'];
  if (path !== undefined) return { sbom: { path } };
  return (flags.sbom ?? flags.o === undefined) ? { sbom: {} } : {};
}
