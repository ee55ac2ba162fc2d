export { MIN_TOKEN_LENGTH, type Tokens } from './access.ts';
export { serveDirectory, type ServeOptions } from './file-server.ts';
export { nxCacheArea } from './nx-cache.ts';
export { type Page, servePages } from './page-server.ts';
export { type Server, type ServerOptions, startServer } from './server.ts';
