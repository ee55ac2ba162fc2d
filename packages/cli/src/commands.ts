import { CacheClean } from './commands/cache-clean.ts';
import { CacheLs } from './commands/cache-ls.ts';
import { CacheRm } from './commands/cache-rm.ts';
import { CacheVerify } from './commands/cache-verify.ts';
import { Completion } from './commands/completion.ts';
import { Env } from './commands/env.ts';
import { Run } from './commands/run.ts';
import { Version } from './commands/version.ts';

/** Every command by its name; oclif writes the blank in `cache ls` as a colon. */
export const commands = {
  'cache:clean': CacheClean,
  'cache:ls': CacheLs,
  'cache:rm': CacheRm,
  'cache:verify': CacheVerify,
  completion: Completion,
  env: Env,
  run: Run,
  version: Version,
};
