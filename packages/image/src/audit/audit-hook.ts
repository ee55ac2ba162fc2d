import type { Digest } from '@lkt/core';
import type { LayerArchive } from '@lkt/oci';
import type { SourceImage } from '../tree/source-image.ts';

/** An image that is in the composed one, to be looked at. */
export interface ImageToAudit {
  /** The reference in full. */
  readonly full: string;
  /** Of its manifest. */
  readonly digest: Digest;
  archives(): readonly LayerArchive[];
}

/** What was found in all of them. */
export interface ImageAudit {
  readonly images: number;
  readonly programs: number;
  /** Things that should not be, and that nobody lets pass. */
  readonly bad: number;
  readonly waived: number;
  /** Milliseconds since 1970 from which on something else will be found. */
  readonly until?: number;
}

/** Looks at the images of a composed one. */
export interface AuditHook {
  /** @throws whatever is to stop the build */
  readonly run: (images: readonly ImageToAudit[]) => Promise<ImageAudit>;
  /** Whether nothing is written before it has run. */
  readonly isGate: boolean;
  /** Files that decide what is let pass. */
  readonly inputs: readonly string[];
}

/** Beside writing, most of which is done by other threads. */
export async function startAudit(
  images: readonly SourceImage[],
  hook: AuditHook | undefined,
): Promise<ImageAudit | undefined> {
  return hook?.run(
    images.map((source) => ({
      full: source.full,
      digest: source.image.descriptor.digest,
      archives: () => source.archives(),
    })),
  );
}
