import { LktError } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';

const MAX_PAGES = 1000;
/** Maximum length of all pages together, which the caller keeps; enough for a million tags. */
const MAX_LIST_BYTES = 64 * 2 ** 20;

/** A page of a list, and its length in bytes. */
export interface Page {
  readonly response: HttpResponse;
  readonly size: number;
}

/**
 * Reads all pages of a list by following the `Link` headers (RFC 8288).
 * @param read reads a page; returns undefined to end
 * @throws NETWORK_FAILED for more than 1000 pages or 64 MiB
 */
export async function readPages(
  first: URL,
  read: (url: URL) => Promise<Page | undefined>,
): Promise<void> {
  let url: URL | undefined = first;
  let total = 0;
  for (let count = 0; url !== undefined; count += 1) {
    if (count === MAX_PAGES)
      throw new LktError(
        'NETWORK_FAILED',
        `${first.host} returned a list of more than ${MAX_PAGES} pages`,
      );
    const page: Page | undefined = await read(url);
    total += page?.size ?? 0;
    if (total > MAX_LIST_BYTES)
      throw new LktError(
        'NETWORK_FAILED',
        `${first.host} returned a list of more than ${MAX_LIST_BYTES} bytes`,
      );
    url = page === undefined ? undefined : nextPage(page.response, url);
  }
}

function nextPage(response: HttpResponse, current: URL): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(response.header('link') ?? '')?.[1];
  if (link === undefined || !URL.canParse(link, current.href)) return undefined;
  const next = new URL(link, current);
  // A registry behind a proxy may not know its own host, so keep that of the first page.
  next.protocol = current.protocol;
  next.host = current.host;
  return next.href === current.href ? undefined : next;
}
