import { createRequire, Module } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * Replaces undici's HTTP/2 client, which is not used: Node's module for it takes as long to load as
 * all of undici. A bundle leaves the client out.
 */
export function stubHttp2(): void {
  const id = require.resolve('undici/lib/dispatcher/client-h2.js');
  const module = new Module(id);
  module.exports = () => {
    throw new Error('HTTP/2 is left out');
  };
  module.loaded = true;
  require.cache[id] ??= module;
}
