export {
  createHttpClient,
  type HttpClient,
  type HttpOptions,
  type RequestOptions,
} from './client.ts';
export { download, type Download, type DownloadOptions } from './download.ts';
export { isLoopback, readableUrl } from './address.ts';
export { NetworkError } from './network-error.ts';
export { isLast, isTemporaryStatus, pause, type Patience } from './retry.ts';
export { type HttpResponse } from './response.ts';
export { answersTlsInHttp } from './tls-greeting.ts';
