import { LktError } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';

const MAX_PAGES = 1000;

/** Reads all pages of a list by following the `Link` headers (RFC 8288). */
export async function readPages(
  first: URL,
  read: (url: URL) => Promise<HttpResponse | undefined>,
): Promise<void> {
  let url: URL | undefined = first;
  for (let count = 0; url !== undefined; count += 1) {
    if (count === MAX_PAGES)
      throw new LktError(
        'NETWORK_FAILED',
        `${first.host} returned a list of more than ${MAX_PAGES} pages`,
      );
    const response: HttpResponse | undefined = await read(url);
    url = response === undefined ? undefined : nextPage(response, url);
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
