export { type BuildkitOptions, buildkitEngine } from './engine.ts';
