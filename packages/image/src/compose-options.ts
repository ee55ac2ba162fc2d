import type { Compressor, EfiSigner } from '@lkt/formats';
import type { SourceFile } from '@lkt/core';
import type { AuditHook } from './audit/audit-hook.ts';
import type { Format } from './output/formats.ts';
import type { PlanOptions } from './plan.ts';
import type { LoadOptions } from './config/load-config.ts';
import type { Provenance } from './provenance.ts';

/** Options of `composeImage`: the configs, and the files to write. */
export interface ComposeOptions extends Omit<PlanOptions, 'caches'>, LoadOptions {
  /** Merged from left to right. */
  readonly configs: readonly SourceFile[];
  readonly format: readonly Format[];
  readonly outDir: string;
  /** Prefix of the output file names. */
  readonly name: string;
  /** Default: zstd. */
  readonly compressor?: Compressor;
  /** Compression level; default: 3 for zstd, 4 for gzip, 6 for xz. */
  readonly level?: number;
  /** Bytes of a disk; default: just large enough. */
  readonly diskSize?: number;
  /** Image with the boot loaders; default: the one that lkt pins. */
  readonly bootLoader?: string;
  readonly efiSigner?: EfiSigner;
  /** Writes a provenance statement; default: none. */
  readonly provenance?: Provenance;
  readonly audit?: AuditHook;
}
