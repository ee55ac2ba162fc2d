import { LktError } from '@lkt/core';
import type { HttpResponse } from '@lkt/http';

const MAX_PAGES = 1000;

/** All pages of a list: asks for one after the other, by the `Link` each has to the next (RFC 8288). */
export async function readPages(
  first: URL,
  read: (url: URL) => Promise<HttpResponse | undefined>,
): Promise<void> {
  let url: URL | undefined = first;
  for (let count = 0; url !== undefined; count += 1) {
    if (count === MAX_PAGES)
      throw new LktError('NETWORK_FAILED', `${first.host} gives a list without end`);
    const response: HttpResponse | undefined = await read(url);
    url = response === undefined ? undefined : nextPage(response, url);
  }
}

function nextPage(response: HttpResponse, current: URL): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(response.header('link') ?? '')?.[1];
  if (link === undefined || !URL.canParse(link, current.href)) return undefined;
  const next = new URL(link, current);
  // Behind a proxy a registry may not know its own name; the page is where the first one was.
  next.protocol = current.protocol;
  next.host = current.host;
  return next.href === current.href ? undefined : next;
}
