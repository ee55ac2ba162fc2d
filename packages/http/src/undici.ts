import { createRequire } from 'node:module';
import type undici from 'undici';

/**
 * The parts of undici that are used. Its index loads fetch, caches, web sockets and mocks too, which takes 13 MB of
 * memory and a third of the time; what it does with these parts is done here in the same way.
 */
const load = createRequire(import.meta.url);
const dispatcher: typeof undici.Dispatcher = load('undici/lib/dispatcher/dispatcher.js');
Object.assign(dispatcher.prototype, load('undici/lib/api/index.js'));

export const Agent: typeof undici.Agent = load('undici/lib/dispatcher/agent.js');
export const EnvHttpProxyAgent: typeof undici.EnvHttpProxyAgent = load(
  'undici/lib/dispatcher/env-http-proxy-agent.js',
);
