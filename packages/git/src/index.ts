export { type Changes, changesSince } from './changed-files.ts';
export { createGit, type Environment, type Git } from './command.ts';
export { filesAsCommitted } from './commit-preview.ts';
export { gitUri, type Origin, readOrigin } from './origin.ts';
export { readPlainDirectory } from './plain-directory.ts';
export {
  findTop,
  isInside,
  isUnder,
  readRepository,
  readTrees,
  type Repository,
} from './repository.ts';
export { gitTreeId } from './tree-id.ts';
