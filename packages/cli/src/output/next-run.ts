/** Files that boot without others, with the firmware that they are made for. */
const BOOTABLE = /(?:\.efi|\.iso|\.qcow2|-(?:bios|efi)\.img)$/;

/**
 * Returns what `lkt run` boots of the files of an image: the prefix of a kernel and its initrd or
 * root disk, else a bootable file. Undefined for archives and clouds' formats.
 */
export function bootedBy(paths: readonly string[]): string | undefined {
  const kernel = paths.find((path) => path.endsWith('-kernel'));
  if (kernel !== undefined) return kernel.slice(0, -'-kernel'.length);
  return paths.find((path) => BOOTABLE.test(path));
}
