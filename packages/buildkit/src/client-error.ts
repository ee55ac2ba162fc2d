import { LktError } from '@lkt/core';
import type { Builder } from './address.ts';

/** Messages of the client programs when no step failed, with the error for each. */
const CAUSES: readonly {
  readonly pattern: RegExp;
  readonly code: 'NETWORK_FAILED' | 'HOST_UNSUPPORTED' | 'TOOL_MISSING' | 'NOT_FOUND';
  readonly message: (builder: string) => string;
  readonly fix: string;
}[] = [
  {
    pattern: /'buildx' is not a docker command|unknown command.*buildx|unknown flag: --builder/,
    code: 'TOOL_MISSING',
    message: () => 'docker has no buildx plugin',
    fix: 'sudo apt-get install docker-buildx',
  },
  {
    pattern: /invalid progress mode|rawjson.*(not supported|invalid)|unknown progress/i,
    code: 'TOOL_MISSING',
    message: () => 'the BuildKit client is too old to report progress as JSON',
    fix: 'install buildx or BuildKit 0.13 or later',
  },
  {
    pattern: /no builder .* found|No such container|could not find the container/i,
    code: 'NOT_FOUND',
    message: (builder) => `there is no builder ${builder}`,
    fix: 'list builders with docker buildx ls, or create one with docker buildx create',
  },
  {
    pattern:
      /OCI exporter is not supported|exporter "oci" could not be found|oci-layout.*docker driver/i,
    code: 'HOST_UNSUPPORTED',
    message: (builder) => `${builder} cannot write OCI images`,
    fix: 'enable the containerd image store of this Docker ("features": {"containerd-snapshotter": true} in daemon.json), or create a builder with docker buildx create',
  },
  {
    pattern:
      /connection refused|Cannot connect to the Docker daemon|no such host|i\/o timeout|connection error|failed to list workers|no such file or directory.*sock|deadline exceeded/i,
    code: 'NETWORK_FAILED',
    message: (builder) => `cannot connect to the builder ${builder}`,
    fix: 'start it, or check its address',
  },
];

/** Returns the error for a failed client program, with its messages as detail. */
export function builderError(builder: Builder, messages: string): LktError {
  const name = builder.program === 'docker' ? `buildx:${builder.name}` : builder.address;
  const detail = messages === '' ? {} : { detail: messages };
  const cause = CAUSES.find(({ pattern }) => pattern.test(messages));
  if (cause === undefined)
    return new LktError('BUILD_FAILED', `the builder ${name} did not build the image`, detail);
  const { code, message, fix } = cause;
  return new LktError(code, message(name), { fix, ...detail });
}
