export { createHttpClient, type HttpClient } from './client.ts';
export { type RequestOptions } from './request.ts';
export { type HttpOptions } from './options.ts';
export { download, type DownloadOptions } from './download.ts';
export { isLoopback, redactUrl } from './address.ts';
export { NetworkError } from './network-error.ts';
export { isLastAttempt, isTemporaryStatus, waitBeforeRetry, type RetryPolicy } from './retry.ts';
export { type HttpResponse } from './response.ts';
export { answersTlsWithHttp } from './tls-probe.ts';
