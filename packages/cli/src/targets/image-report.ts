import { LktError } from '@lkt/core';
import type { FileMap, ImageView, ListedPackage, Privileges } from '@lkt/inspect';
import type { ImageReport } from '@lkt/image/image-report';
import type { RawPath, Store } from '@lkt/oci';
import type { TrustPolicy } from '@lkt/sign';
import type { TrustFlags } from '../flags/trust.ts';
import type { Session } from '../session/session.ts';
import type { Viewed } from './image-view.ts';

/** A package of an SBOM, with the images that contain it. */
interface PlacedPackage extends ListedPackage {
  readonly images: readonly string[];
}

/** The parts of a page that `lkt inspect` does not print. */
export interface ImageDetails {
  readonly files: FileMap | undefined;
  /** Why there are no files. */
  readonly unread: string | undefined;
  /** The image that each file comes from, if known. */
  readonly sources: ReadonlyMap<RawPath, string>;
  readonly packages: readonly PlacedPackage[];
  readonly privileges: readonly Privileges[];
  /** The policies that apply. */
  readonly policies: readonly TrustPolicy[];
  /** The verdicts of the policies, by the signatures in the store. */
  readonly verdicts: readonly ImageReport[];
  /** Why there is no verdict for some images. */
  readonly unverified: readonly string[];
}

/** Reads the details of a target. Asks no registry. */
export async function imageDetails(
  session: Session,
  target: string,
  { view, platform }: Viewed,
  flags: TrustFlags,
): Promise<ImageDetails> {
  const { imagePrivileges, privilegesOf, sourcesOf } = await import('@lkt/inspect');
  const { signal } = session;
  const store = await session.findStore();
  const { files, unread } = await filesOf(view, signal);
  const sources =
    files === undefined
      ? new Map<RawPath, string>()
      : await sourcesOf(view, files, store, platform, signal);
  const privileges =
    view.kind === 'image'
      ? [imagePrivileges(view.name, view.config ?? {})]
      : privilegesOf(files ?? new Map());
  const packages = await placedPackages(view, store, platform);
  return {
    files,
    unread,
    sources,
    packages,
    privileges,
    ...(await verdictsOf(session, target, view, flags)),
  };
}

async function filesOf(
  view: ImageView,
  signal: AbortSignal,
): Promise<Pick<ImageDetails, 'files' | 'unread'>> {
  if (view.files === undefined)
    return { files: undefined, unread: `lkt cannot read the format of ${view.name}` };
  try {
    return { files: await view.files(signal), unread: undefined };
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
    return { files: undefined, unread: error.message };
  }
}

function keyOf({ name, version }: ListedPackage): string {
  return `${name}\0${version}`;
}

/** Lists the packages of the SBOM; without one, those in the SBOMs of the contained images. */
async function placedPackages(
  view: ImageView,
  store: Store | undefined,
  platform: Viewed['platform'],
): Promise<readonly PlacedPackage[]> {
  const { listedPackages, viewStored } = await import('@lkt/inspect');
  const listed = [...listedPackages(view.sbom)];
  const images = new Map<string, Set<string>>();
  for (const { name, digest } of view.images) {
    if (store === undefined || digest === undefined || !(await store.has(digest))) continue;
    const { sbom } = await viewStored(store, name, { digest }, platform);
    for (const item of listedPackages(sbom)) {
      const key = keyOf(item);
      if (view.sbom === undefined && !images.has(key)) listed.push(item);
      images.set(key, (images.get(key) ?? new Set()).add(name));
    }
  }
  return listed
    .map((item) => ({ ...item, images: [...(images.get(keyOf(item)) ?? [])] }))
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Evaluates the policies of `lkt verify`, by the signatures in the store. */
async function verdictsOf(
  session: Session,
  target: string,
  { kind, name: own, digest, images }: ImageView,
  flags: TrustFlags,
): Promise<Pick<ImageDetails, 'policies' | 'unverified' | 'verdicts'>> {
  const { TargetVerifier } = await import('./target-verifier.ts');
  const verifier = new TargetVerifier(
    session,
    { ...flags, offline: true, local: true, all: true },
    undefined,
  );
  const named = [...(kind === 'image' ? [{ name: own, digest }] : []), ...images].flatMap((one) =>
    one.digest === undefined ? [] : [`${one.name.replace(/@.*/, '')}@${one.digest}`],
  );
  const policies: TrustPolicy[] = [];
  const verdicts: ImageReport[] = [];
  const uncovered: string[] = [];
  const unverified: string[] = [];
  try {
    policies.push(...(await verifier.policies(kind === 'config' ? target : undefined)));
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    // Verification has the same error.
    if (named.length === 0 && kind !== 'config') unverified.push(error.message);
  }
  for (const one of kind === 'config' ? [target] : named) {
    try {
      verdicts.push(...(await verifier.verify(one)));
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      if (error.code === 'USAGE_INVALID') uncovered.push(one.replace(/@.*/, ''));
      else unverified.push(error.message);
    }
  }
  if (uncovered.length > 0) unverified.push(`no trust policy covers ${uncovered.join(', ')}`);
  return { policies, verdicts, unverified };
}
