import { type FlagValues, switchFlag, valueFlag } from './options.ts';

/** The flags for the documents beside an image. */
export const sbomFlags = {
  sbom: switchFlag(
    'also write NAME-sbom.spdx.json, an SPDX 2.3 SBOM of all images; on by default without --o',
    { allowNo: true },
  ),
  provenance: switchFlag(
    'also write NAME-provenance.json, the inputs of the image; on by default without --o',
    { allowNo: true },
  ),
  'sbom-output': valueFlag('PATH', 'path in the image for a copy of the SBOM; implies --sbom'),
};

/**
 * Returns whether to write an SBOM, and its path in the image. The flags are LinuxKit's, but an
 * SBOM enters the image only on request.
 */
export function sbomOf(flags: FlagValues<typeof sbomFlags> & { readonly o?: string | undefined }): {
  readonly sbom?: { readonly path?: string };
} {
  const path = flags['sbom-output'];
  if (path !== undefined) return { sbom: { path } };
  return (flags.sbom ?? flags.o === undefined) ? { sbom: {} } : {};
}
