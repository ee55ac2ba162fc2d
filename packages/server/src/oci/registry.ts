import { type Exchange, notAllowed, requireRead, sendJson } from '../exchange.ts';
import { ApiError } from '../api-error.ts';
import { handleBlob, continueUpload, startUpload } from './blobs.ts';
import { handleManifest } from './manifests.ts';
import { sendReferrers } from './referrers.ts';
import { type Repository, repositoryOf } from './names.ts';
import type { Uploads } from './uploads.ts';

/**
 * Handles the registry API over a store (distribution-spec 1.1): pull, push, tags, referrers and
 * deletion.
 */
export async function handleRegistry(exchange: Exchange, uploads: Uploads): Promise<void> {
  const path = exchange.url.pathname.slice('/v2/'.length);
  if (path === '') {
    requireRead(exchange);
    sendJson(exchange, {});
    return;
  }
  const [, name = '', kind = '', rest = ''] = ROUTE.exec(path) ?? [];
  if (kind === '') throw new ApiError(404, 'NAME_UNKNOWN', 'not found');
  const repository = repositoryOf(name);
  if (kind === 'blobs/uploads') {
    if (rest !== '') await continueUpload(exchange, repository, uploads, rest);
    else if (exchange.method === 'POST') await startUpload(exchange, repository, uploads);
    else throw notAllowed('POST');
  } else if (kind === 'blobs') await handleBlob(exchange, rest);
  else if (kind === 'manifests') await handleManifest(exchange, repository, rest);
  else if (kind === 'referrers') await sendReferrers(exchange, name, rest);
  else if (rest === 'list') await sendTags(exchange, repository);
  else throw new ApiError(404, 'NAME_UNKNOWN', 'not found');
}

/** Name of a repository, kind of its content, and which one of them. */
const ROUTE = /^(.+?)\/(blobs\/uploads|blobs|manifests|tags|referrers)(?:\/([^/]*))?$/;

/** Reports whether the path of a URL is that of an upload. */
export function isUpload(pathname: string): boolean {
  return ROUTE.exec(pathname.replace(/^\/v2\//, ''))?.[2] === 'blobs/uploads';
}

const MAX_PAGE = 10_000;

/** Sends a page of tags (distribution-spec, "Listing Tags"). */
async function sendTags(exchange: Exchange, repository: Repository): Promise<void> {
  const { store, url } = exchange;
  requireRead(exchange);
  const { name } = repository;
  const all = (await store.tags()).flatMap((tag) => repository.tagOf(tag.reference) ?? []);
  if (all.length === 0) throw new ApiError(404, 'NAME_UNKNOWN', 'repository not found');
  const requested = url.searchParams.get('n');
  if (requested !== null && !/^\d{1,9}$/.test(requested))
    throw new ApiError(400, 'PAGINATION_NUMBER_INVALID', 'n is not a number');
  const size = Math.min(requested === null ? MAX_PAGE : Number(requested), MAX_PAGE);
  const last = url.searchParams.get('last') ?? '';
  const rest = [...new Set(all)].toSorted().filter((tag) => tag > last);
  const tags = rest.slice(0, size);
  const end = tags.at(-1);
  const query = new URLSearchParams({ n: String(size), last: end ?? '' });
  sendJson(
    exchange,
    { name, tags },
    end === undefined || tags.length === rest.length
      ? {}
      : { link: `</v2/${name}/tags/list?${query.toString()}>; rel="next"` },
  );
}
