import { resolve } from 'node:path';
import type { NamedImage } from '@lkt/sign';
import type { SbomDocument, SbomPackages, Subject } from '@lkt/vulns';
import { referencesOf } from './audited-images.ts';
import { parseJsonFile } from '../session/json-file.ts';
import { statOf } from '../session/paths.ts';
import type { TrustFlags } from '../flags/trust.ts';
import type { Session } from '../session/session.ts';
import { imageInStore } from './store-image.ts';
import type { TargetVerifier } from './target-verifier.ts';

/** The packages of targets, and their components that cannot be looked up. */
export interface Subjects extends Omit<SbomPackages, 'packages'> {
  readonly subjects: readonly Subject[];
}

/**
 * Returns the packages of targets by their SBOMs: JSON files, or the images of package directories,
 * image configs and references in the store. Images are inspected too; warns of an SBOM that lacks
 * packages in the image's layers. A signed SBOM that the target's policies accept counts as one of
 * lkt.
 * @throws NOT_FOUND, CONFIG_INVALID, PIN_MISSING
 */
export async function subjectsOf(
  session: Session,
  targets: readonly string[],
  { platform, ...flags }: TrustFlags & { readonly platform: string },
): Promise<Subjects> {
  const { TargetVerifier } = await import('./target-verifier.ts');
  const verifier = new TargetVerifier(session, { ...flags, offline: true, local: true }, undefined);
  const { missingIn, parseSbom, parseSboms } = await import('@lkt/vulns');
  const subjects: Subject[] = [];
  const uncovered = new Set<string>();
  const unidentified = new Set<string>();
  for (const target of targets) {
    for (const { name, images, documents, inspected } of await sbomsOf(
      session,
      target,
      platform,
      verifier,
    )) {
      const layers = inspected === undefined ? undefined : parseSbom(inspected, name);
      const sbom = parseSboms(documents, name, layers);
      const missing =
        layers === undefined ? { packages: [], uncovered: [] } : missingIn(sbom, layers);
      if (missing.packages.length + missing.uncovered.length > 0)
        session.reporter.emit({ kind: 'warning', text: lacks(name, missing) });
      subjects.push({ name, images, packages: [...sbom.packages, ...missing.packages] });
      for (const purl of [...sbom.uncovered, ...missing.uncovered]) uncovered.add(purl);
      for (const title of sbom.unidentified) unidentified.add(title);
    }
  }
  return {
    subjects,
    uncovered: [...uncovered].toSorted(),
    unidentified: [...unidentified].toSorted(),
  };
}

interface TargetSbom extends Omit<Subject, 'packages'> {
  /** Several, if others attached SBOMs to the image. */
  readonly documents: readonly SbomDocument[];
  /** The SBOM of the image's layers, if `documents` are others. */
  readonly inspected?: unknown;
}

function lacks(
  name: string,
  { packages, uncovered }: Pick<SbomPackages, 'packages' | 'uncovered'>,
): string {
  const [first, ...more] = [
    ...packages.map((item) => `${item.name} ${item.version}`),
    ...uncovered,
  ];
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  return `the SBOM of ${name} lacks ${first}${others}, which its layers contain`;
}

async function sbomsOf(
  session: Session,
  target: string,
  platform: string,
  verifier: TargetVerifier,
): Promise<readonly TargetSbom[]> {
  const path = resolve(session.environment.cwd, target);
  if (target.endsWith('.json') && (await statOf(path))?.isFile() === true)
    return [{ name: target, images: [], documents: [own(await parseJsonFile(path, target))] }];
  const sboms: TargetSbom[] = [];
  for (const reference of await referencesOf(session, target))
    sboms.push(
      await imageSbom(session, reference, platform, async (image) =>
        verifier.signedSboms(target, image),
      ),
    );
  return sboms;
}

/** Returns a document that the user named, or that lkt wrote. */
function own(document: unknown): SbomDocument {
  return { document, isForeign: false };
}

async function imageSbom(
  session: Session,
  reference: string,
  platformText: string,
  signedSboms: (image: NamedImage) => Promise<readonly unknown[]>,
): Promise<TargetSbom> {
  const { familiarReference, loadImage, parsePlatform } = await import('@lkt/oci');
  const { describeImage, imageComponent, spdxOf } = await import('@lkt/attest');
  const { inspectOptions, parseDocument, storedSboms, withoutBroken } = await import('@lkt/pkg');
  const { parseSbom } = await import('@lkt/vulns');
  const { store, source, descriptor } = await imageInStore(session, reference);
  const platform = parsePlatform(platformText);
  const image = await loadImage(store, descriptor.digest, platform);
  const { digest } = image.descriptor;
  const name = familiarReference({ domain: source.domain, path: source.path });
  const component = imageComponent(name, digest, platform);
  const images = [name, reference, component.purl ?? ''];
  const stored = await storedSboms(store, digest, await signedSboms({ ...source, digest }));
  const usable = await withoutBroken(
    stored,
    reference,
    (bytes) => parseSbom(parseDocument(bytes), 'it'),
    (text) => session.reporter.emit({ kind: 'warning', text }),
  );
  const documents: SbomDocument[] = [];
  for (const { isForeign, read } of usable)
    documents.push({ document: parseDocument(await read()), isForeign });
  const { contents } = await describeImage(store, image, [], await inspectOptions(session.signal));
  const inspected = spdxOf({ image: component, contents, generatedFrom: [], buildTools: [] });
  return documents.length > 0
    ? { name: reference, images, documents, inspected }
    : { name: reference, images, documents: [own(inspected)] };
}
