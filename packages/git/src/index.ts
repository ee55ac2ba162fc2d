export { type Changes, changesSince } from './changed-files.ts';
export { createGit, type Environment, type Git } from './command.ts';
export { filesAsCommitted } from './commit-preview.ts';
export { gitUri, type Origin, readOrigin } from './origin.ts';
export { isUnder } from './paths.ts';
export { readPlainDirectory } from './plain-directory.ts';
export { findTop, isInside, readRepository, readTrees, type Repository } from './repository.ts';
export { findSourceDirectories } from './source-directories.ts';
export { gitTreeId } from './tree-id.ts';
