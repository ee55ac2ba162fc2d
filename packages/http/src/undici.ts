import { createRequire, Module } from 'node:module';
import type undici from 'undici';

const load = createRequire(import.meta.url);

/**
 * What sends requests through a proxy, as it asks for. The index of undici loads fetch, caches, web sockets and mocks too,
 * which takes 13 MB of memory and a third of the time; what it does with the parts that are used is done here in the
 * same way.
 */
export function proxyAgent(options: undici.EnvHttpProxyAgent.Options): undici.Dispatcher {
  leaveOutHttp2();
  const dispatcher: typeof undici.Dispatcher = load('undici/lib/dispatcher/dispatcher.js');
  Object.assign(dispatcher.prototype, load('undici/lib/api/index.js'));
  const ProxyAgent: typeof undici.EnvHttpProxyAgent = load(
    'undici/lib/dispatcher/env-http-proxy-agent.js',
  );
  return new ProxyAgent(options);
}

/** It is never spoken here, and Node's part for it takes as long to load as all of undici. */
function leaveOutHttp2(): void {
  const id = load.resolve('undici/lib/dispatcher/client-h2.js');
  const module = new Module(id);
  module.exports = () => {
    throw new Error('HTTP/2 is left out');
  };
  module.loaded = true;
  load.cache[id] ??= module;
}
