import type { ActionInputs, BuiltPackage } from '@lkt/pkg';
import type { ImageAudit } from './audit/audit-hook.ts';
import type { TrustedImage } from './trust/check-images.ts';
import type { OutputFile } from './output/write.ts';

export interface ComposedImage {
  readonly files: readonly OutputFile[];
  /** MiB that a machine needs to unpack the initrd; undefined without one. */
  readonly minimumMemory?: number;
  /** What register 11 of a TPM has when the EFI program runs, in hexadecimal; undefined without one. */
  readonly pcr11?: string;
  /** What was found in the images, if it was asked for. */
  readonly audit?: ImageAudit;
}

export interface BuiltImage extends ComposedImage {
  /** The packages of the workspace that are in the image, and what they were built with. */
  readonly packages: readonly BuiltPackage[];
  /** Why each image that the configs name was accepted; nothing where no policy asks. */
  readonly trust: readonly TrustedImage[];
  /** What each variable of the configs stood for. */
  readonly variables: ReadonlyMap<string, string>;
  /** What the build read, for the action cache; undefined if an input cannot be tracked. */
  readonly inputs: ActionInputs | undefined;
}
