export {
  createHttpClient,
  type HttpClient,
  type HttpOptions,
  type RequestOptions,
} from './client.ts';
export { type Download, type DownloadOptions } from './download.ts';
export { isLoopback, readableUrl } from './address.ts';
export { isTemporaryStatus } from './retry.ts';
export { type HttpResponse } from './response.ts';
