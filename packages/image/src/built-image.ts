import type { ActionInputs, BuiltPackage } from '@lkt/pkg';
import type { ImageAudit } from './audit/audit-hook.ts';
import type { TrustedImage } from './trust/check-images.ts';
import type { OutputFile } from './output/write.ts';
import type { ServicePort } from './tree/ports.ts';

/** The files of a composed image, and what they need to boot. */
export interface ComposedImage {
  readonly files: readonly OutputFile[];
  /** MiB that a machine needs to unpack the initrd; undefined without one. */
  readonly minimumMemory?: number;
  /**
   * Value of TPM register 11 when the EFI program runs, in hexadecimal; undefined without an EFI
   * program.
   */
  readonly pcr11?: string;
  /** Problems of the image for its users. */
  readonly warnings: readonly string[];
  /** Permissions of containers beyond the defaults, such as `services/docker: mount`. */
  readonly allowances: readonly string[];
  /** Names of the services. */
  readonly services: readonly string[];
  /** Ports on which the services listen. */
  readonly ports: readonly ServicePort[];
  /** Undefined without an audit hook. */
  readonly audit?: ImageAudit;
}

/** A composed image, with the packages and policies behind it. */
export interface BuiltImage extends ComposedImage {
  /** Packages of the workspace that are in the image. */
  readonly packages: readonly BuiltPackage[];
  /** Names of the trust policies in force: `trust.yml:1`. */
  readonly policies: readonly string[];
  /** Why each image that the configs name was accepted; empty without a policy. */
  readonly trust: readonly TrustedImage[];
  /** Values of the configs' variables. */
  readonly variables: ReadonlyMap<string, string>;
  /** Inputs of the build, for the action cache; undefined if an input cannot be tracked. */
  readonly inputs: ActionInputs | undefined;
}
