import { basename } from 'node:path';
import { imageProvenanceOf, type ImageParameters, type ResourceDescriptor } from '@lkt/attest';
import { canonicalJson, type Digest, digestHex, digestOf, digestSet, isDigest } from '@lkt/core';
import { formatPlatform, fromRaw, type Platform } from '@lkt/oci';
import type { Origin } from '@lkt/git';
import type { Compression, EfiSigner } from '@lkt/formats';
import { imageReferencesOf } from './config/config.ts';
import type { ConfigFile } from './config/load-config.ts';
import { PACKED_FORMATS } from './output/formats.ts';
import type { OutputFile } from './output/write.ts';
import type { Plan } from './plan.ts';
import type { SbomOptions } from './sbom.ts';
import type { Part } from './tree/part.ts';
import type { TrustedImage } from './trust/check-images.ts';

/** Inputs of the provenance statement that a plan does not have. */
export interface Provenance {
  /** The configs, in merge order. */
  readonly files: readonly ConfigFile[];
  readonly variables: ReadonlyMap<string, string>;
  readonly trust: readonly TrustedImage[];
  /** Repository and commit with the configs. */
  readonly origin: Origin | undefined;
}

interface StatementOptions {
  readonly platform: Platform;
  readonly format: readonly string[];
  readonly sbom?: SbomOptions;
  readonly diskSize?: number;
  readonly efiSigner?: EfiSigner;
}

/**
 * Returns a function from the output files to the provenance of an image: in-toto Statement v1 with
 * SLSA provenance v1. It has nothing host-specific: configs have no directories.
 */
export function imageStatement(
  plan: Plan,
  { platform, format, sbom, diskSize, efiSigner }: StatementOptions,
  { files, variables, trust, origin }: Provenance,
  compression: Compression,
): (written: readonly OutputFile[]) => Buffer {
  const isCompressed = PACKED_FORMATS.some((one) => format.includes(one));
  const { compressor, level, key } = compression;
  const parameters: ImageParameters = {
    configs: files.map(configName),
    variables: Object.fromEntries(variables),
    platform: formatPlatform(platform),
    formats: format.toSorted(),
    compressor: isCompressed ? compressor : undefined,
    level: isCompressed && level !== undefined ? level : undefined,
    sbomPath: sbom?.path === undefined ? undefined : sbom.path,
    sbomFormat:
      sbom?.path !== undefined && sbom.formats?.[0] === 'cyclonedx' ? 'cyclonedx' : undefined,
    diskSize,
    efiCertificate:
      efiSigner === undefined ? undefined : digestHex(digestOf(efiSigner.certificate.raw)),
  };
  const dependencies = [
    ...(origin === undefined ? [] : [{ uri: origin.uri, digest: { gitCommit: origin.commit } }]),
    ...files.map((file) => resource(configName(file), digestOf(Buffer.from(file.text)))),
    ...imagesOf(plan, trust),
    ...hostFilesOf(plan),
  ];
  return (written) => {
    const subjects = written.map(({ path, digest }) => ({ name: basename(path), digest }));
    const inputs = { subjects, parameters, dependencies };
    return Buffer.from(canonicalJson(imageProvenanceOf(inputs, isCompressed ? key : undefined)));
  };
}

function configName({ path, isRemote }: ConfigFile): string {
  return isRemote === true ? path : basename(path);
}

function resource(
  name: string,
  digest: Digest,
  annotations?: Readonly<Record<string, unknown>>,
): ResourceDescriptor {
  return { name, digest: digestSet(digest), annotations };
}

function imagesOf({ config }: Plan, trust: readonly TrustedImage[]): readonly ResourceDescriptor[] {
  return imageReferencesOf(config).flatMap(({ full }) => {
    const [name = '', text = ''] = full.split('@');
    if (!isDigest(text)) return [];
    const found = trust.find(({ digest }) => digest === text);
    if (found === undefined) return [{ name, digest: digestSet(text) }];
    const { because, signers, rebuilders } = found;
    return [{ name, digest: digestSet(text), annotations: { because, signers, rebuilders } }];
  });
}

/** Describes a single file by its content, more by a list of all. */
function hostFilesOf({ config, files }: Plan): readonly ResourceDescriptor[] {
  const parts = new Map(files.map((part) => [part.origin.location, part]));
  return config.files.flatMap(({ content }, index) => {
    const part = parts.get(`files[${index}]`);
    if (content.kind !== 'source' || part === undefined) return [];
    const digests = digestsOf(part);
    const [only] = digests.values();
    const isFile = only !== undefined && isDigest(only) && part.entries.every(isFileOrParent);
    if (isFile && digests.size === 1) return [resource(content.source, only)];
    const list = part.entries.map(({ path, type, mode, link = '' }) => [
      fromRaw(path),
      type,
      mode,
      digests.get(path) ?? fromRaw(link),
    ]);
    return [resource(content.source, digestOf(Buffer.from(canonicalJson(list))))];
  });
}

function isFileOrParent({ type, isWeak }: Part['entries'][number]): boolean {
  return type === 'file' || isWeak === true;
}

/** Parses the key of the contents, a list of paths and digests. */
function digestsOf({ contents: { key } }: Part): ReadonlyMap<string, string> {
  const words = key.split('\0');
  const digests = new Map<string, string>();
  for (let at = 0; at + 1 < words.length; at += 2)
    digests.set(words[at] ?? '', words[at + 1] ?? '');
  return digests;
}
