import type { SourceImage } from '../tree/source-image.ts';

/** An image inside the composed one. */
export type ImageToAudit = Pick<SourceImage, 'full' | 'digest' | 'loadedTree' | 'archives'>;

/** The result of auditing the images of a build. */
export interface ImageAudit {
  readonly images: number;
  readonly programs: number;
  /** Number of findings that are not waived. */
  readonly bad: number;
  readonly waived: number;
  /** Milliseconds since 1970 at which the result changes: a certificate expires. */
  readonly until?: number;
}

/** Audits the images of a composed one. */
export interface AuditHook {
  /** Audits an image ahead of `run`. */
  readonly prepare: (image: ImageToAudit) => Promise<void>;
  /** @throws an error that stops the build */
  readonly run: (images: readonly ImageToAudit[]) => Promise<ImageAudit>;
  /** Write outputs only after the audit passes. */
  readonly isGate: boolean;
  /** Files with waivers. */
  readonly inputs: readonly string[];
}
