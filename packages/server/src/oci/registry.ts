import { type Exchange, notAllowed, sendJson } from '../exchange.ts';
import { Refusal } from '../refusal.ts';
import { answerBlob, goOn, startUpload } from './blobs.ts';
import { answerManifest, sendReferrers } from './manifests.ts';
import { type Repository, repositoryOf } from './names.ts';
import type { Uploads } from './uploads.ts';

/**
 * The API of registries over a store (distribution-spec 1.1): pull, push, tags and referrers. Nothing is deleted by it, and
 * a tag keeps its meaning.
 */
export async function answerRegistry(
  exchange: Exchange,
  uploads: Uploads,
  movesTags: boolean,
): Promise<void> {
  const path = exchange.url.pathname.slice('/v2/'.length);
  if (path === '') {
    sendJson(exchange, {});
    return;
  }
  const [, name = '', kind = '', rest = ''] =
    /^(.+?)\/(blobs\/uploads|blobs|manifests|tags|referrers)\/?([^/]*)$/.exec(path) ?? [];
  if (kind === '') throw new Refusal(404, 'NAME_UNKNOWN', 'there is nothing here');
  const repository = repositoryOf(name);
  if (kind === 'blobs/uploads') {
    if (rest !== '') await goOn(exchange, repository, uploads, rest);
    else if (exchange.method === 'POST') await startUpload(exchange, repository, uploads);
    else throw notAllowed('POST');
  } else if (kind === 'blobs') await answerBlob(exchange, rest);
  else if (kind === 'manifests') await answerManifest(exchange, repository, rest, movesTags);
  else if (kind === 'referrers') await sendReferrers(exchange, rest);
  else if (rest === 'list') await sendTags(exchange, repository);
  else throw new Refusal(404, 'NAME_UNKNOWN', 'there is nothing here');
}

const MAX_PAGE = 10_000;

/** distribution-spec, "Listing Tags" */
async function sendTags(exchange: Exchange, repository: Repository): Promise<void> {
  const { method, store, url } = exchange;
  if (method !== 'GET' && method !== 'HEAD') throw notAllowed('GET, HEAD');
  const { name } = repository;
  const all = (await store.tags()).flatMap((tag) => repository.tagOf(tag) ?? []);
  if (all.length === 0) throw new Refusal(404, 'NAME_UNKNOWN', 'there is no such repository');
  const asked = url.searchParams.get('n');
  if (asked !== null && !/^\d{1,9}$/.test(asked))
    throw new Refusal(400, 'PAGINATION_NUMBER_INVALID', 'n is not a number');
  const size = Math.min(asked === null ? MAX_PAGE : Number(asked), MAX_PAGE);
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
