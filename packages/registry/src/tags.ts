import { LktError } from '@lkt/core';
import { registryError } from './api-error.ts';
import { readPages } from './paging.ts';
import type { Remote } from './remote.ts';

const PAGE = 1000;
const MAX_PAGE = 8 * 2 ** 20;

/** Returns the tags of a repository, sorted (distribution-spec, "Listing Tags"). */
export async function listTags(remote: Remote): Promise<string[]> {
  const name = remote.nameOf({});
  const found = new Set<string>();
  const first = remote.url('tags/list');
  first.searchParams.set('n', String(PAGE));
  await readPages(first, async (url) => {
    const { response, bytes } = await remote.read(url, {}, MAX_PAGE);
    if (bytes === undefined)
      throw await registryError(response, remote.base, `list the tags of ${name}`);
    for (const tag of tagsIn(bytes, name)) found.add(tag);
    return { response, size: bytes.length };
  });
  return [...found].toSorted();
}

function tagsIn(bytes: Buffer, name: string): string[] {
  try {
    const { tags } = JSON.parse(bytes.toString()) as { tags?: unknown };
    // Go writes an empty list as null.
    return ((tags ?? []) as unknown[]).filter(
      (tag): tag is string => typeof tag === 'string' && /^\w[\w.-]{0,127}$/.test(tag),
    );
  } catch (cause) {
    throw new LktError(
      'NETWORK_FAILED',
      `the registry returned an invalid list of tags for ${name}`,
      { cause },
    );
  }
}
