import type { Digest } from '@lkt/core';
import { writeImage, type Store } from '@lkt/oci';
import { layersOf, type RequestPlan } from '@lkt/builder';
import { imageKey } from '@lkt/dockerfile';

/** An image from the store that BuildKit receives, and its name in the Dockerfile for BuildKit. */
export interface NamedContext {
  readonly name: string;
  readonly digest: Digest;
}

/** Returns a name for each image in the Dockerfile or in a base's trigger, by `imageKey`. */
export function contextNames({
  references,
  triggerReferences,
}: Pick<RequestPlan, 'references' | 'triggerReferences'>): ReadonlyMap<string, string> {
  const all = [...references, ...triggerReferences];
  const keys = new Set(all.map((reference) => imageKey(reference)));
  return new Map([...keys].map((key, index) => [key, `lkt-base-${index}`]));
}

/** Returns the images, with their ONBUILD triggers removed: the Dockerfile contains those. */
export async function namedContexts(
  planned: RequestPlan,
  store: Store,
): Promise<readonly NamedContext[]> {
  const contexts: NamedContext[] = [];
  for (const [key, name] of contextNames(planned)) {
    const image = planned.images.get(key);
    if (image === undefined) throw new Error(`${key} is not among the images`);
    const { OnBuild: triggers = [], ...config } = image.config.config ?? {};
    if (triggers.length === 0) {
      contexts.push({ name, digest: image.descriptor.digest });
      continue;
    }
    const withoutTriggers = { config: { config }, layers: layersOf(image), platform: image.config };
    contexts.push({ name, digest: (await writeImage(store, withoutTriggers)).digest });
  }
  return contexts;
}
