export { GitFetcher, type RemoteTree } from './fetcher.ts';
