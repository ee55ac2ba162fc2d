export { createAuthority, type Authority } from './authority.ts';
export {
  type DockerRegistry,
  type DockerRegistryOptions,
  startDockerRegistry,
} from './docker-registry.ts';
export { type Fault, type RequestMatcher } from './registry/faults.ts';
export { startRegistry, type TestRegistry } from './registry/registry.ts';
export { type RegistryOptions } from './registry/options.ts';
export { type LoggedRequest } from './registry/logged-request.ts';
export { type Claims, type TokenIssuer } from './sigstore/token-issuer.ts';
export { type SigstoreOptions, startSigstore, type TestSigstore } from './sigstore/sigstore.ts';
export { startTufRepository, type TufRepository } from './sigstore/tuf-repository.ts';
export { tinyProgram } from './tiny-program.ts';
export { zipOf } from './zip-archive.ts';
