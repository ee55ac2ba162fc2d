import { build, contextOf } from './fixture.ts';
import { TORTURE } from './torture.ts';

// For torture.integration.test.ts: builds in its own process, and prints the diffIDs.
const [, , store = '', context = '', executor = 'init'] = process.argv;
const { diffIds } = await build(store, TORTURE, { context: contextOf(context), executor });
process.stdout.write(`${diffIds.join('\n')}\n`);
