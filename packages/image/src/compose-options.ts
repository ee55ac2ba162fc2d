import type { Compressor, EfiSigner } from '@lkt/formats';
import type { SourceFile } from '@lkt/core';
import type { AuditHook } from './audit/audit-hook.ts';
import type { Format } from './output/formats.ts';
import type { PlanOptions } from './plan.ts';
import type { LoadOptions } from './config/load-config.ts';
import type { Provenance } from './provenance.ts';

export interface ComposeOptions extends Omit<PlanOptions, 'caches'>, LoadOptions {
  /** Merged from left to right. */
  readonly configs: readonly SourceFile[];
  readonly format: readonly Format[];
  readonly outDir: string;
  /** What the names of the files start with. */
  readonly name: string;
  /** Default: zstd. */
  readonly compressor?: Compressor;
  /** How hard it tries; default: zstd's 3, gzip's 4, xz's 6. */
  readonly level?: number;
  /** Of disks, in bytes; by default as large as need be. */
  readonly diskSize?: number;
  /** The image with what firmware starts; by default the one that lkt names itself. */
  readonly bootLoader?: string;
  /** Signs EFI programs. */
  readonly efiSigner?: EfiSigner;
  /** Writes what went in; undefined leaves it out. */
  readonly provenance?: Provenance;
  /** Looks at the images for what should not be in them. */
  readonly audit?: AuditHook;
}
