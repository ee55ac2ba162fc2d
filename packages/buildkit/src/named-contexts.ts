import type { Digest } from '@lkt/core';
import { writeImage, type Store } from '@lkt/oci';
import { layersOf, type RequestPlan } from '@lkt/builder';
import { imageKey } from '@lkt/dockerfile';

/** An image that BuildKit gets out of the store, and by what name the Dockerfile that it gets calls it. */
export interface NamedContext {
  readonly name: string;
  readonly digest: Digest;
}

/** A name for each image that the Dockerfile or a trigger of a base names, by `imageKey`. */
export function contextNames({
  references,
  triggerReferences,
}: Pick<RequestPlan, 'references' | 'triggerReferences'>): ReadonlyMap<string, string> {
  const all = [...references, ...triggerReferences];
  const keys = new Set(all.map((reference) => imageKey(reference)));
  return new Map([...keys].map((key, index) => [key, `lkt-base-${index}`]));
}

/** The images, without their triggers: what those do stands in the Dockerfile. */
export async function namedContexts(
  planned: RequestPlan,
  store: Store,
): Promise<readonly NamedContext[]> {
  const handed: NamedContext[] = [];
  for (const [key, name] of contextNames(planned)) {
    const image = planned.images.get(key);
    if (image === undefined) throw new Error(`${key} is not among the images`);
    const { OnBuild: triggers = [], ...config } = image.config.config ?? {};
    if (triggers.length === 0) {
      handed.push({ name, digest: image.descriptor.digest });
      continue;
    }
    const quiet = { config: { config }, layers: layersOf(image), platform: image.config };
    handed.push({ name, digest: (await writeImage(store, quiet)).digest });
  }
  return handed;
}
