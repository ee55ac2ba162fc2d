import { randomUUID } from 'node:crypto';
import { formatPlatform, parseReference, SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { BuildRequest, RequestPlan } from '@lkt/builder';
import type { Builder } from './address.ts';
import type { NamedContext } from './named-contexts.ts';
import { DOCKERFILE_DIR, LAYOUT_DIR, RESULT_DIR } from './staging.ts';

/** Sets the times of every image of lkt, and writes layers as uncompressed tar archives. */
const OUTPUT = `type=oci,tar=false,dest=${RESULT_DIR},compression=uncompressed,force-compression=true,rewrite-timestamp=true`;

/**
 * Returns the command line of a build in the directory that `stageInputs` filled.
 * @param parts.context name of the directory with the context
 * @param parts.credentials arguments that name secrets and agents, without their values
 * @throws REFERENCE_INVALID for an invalid reference of a remote cache
 */
export function buildCommand(
  builder: Builder,
  planned: RequestPlan,
  request: BuildRequest,
  {
    context,
    credentials = [],
    images,
  }: {
    readonly context: string;
    readonly credentials?: readonly string[];
    readonly images: readonly NamedContext[];
  },
): readonly string[] {
  const args = [...buildArguments(planned, request)].map(([name, value]) => `${name}=${value}`);
  const { network, noCache = false, platform, remoteCache, target } = request;
  const imports = (remoteCache?.from ?? []).map((reference) => registryCache(reference));
  const exports = remoteCache?.to === undefined ? [] : [registryCache(remoteCache.to, ',mode=max')];
  if (builder.program === 'buildctl') {
    const options = [
      `platform=${formatPlatform(platform)}`,
      ...(target === undefined ? [] : [`target=${target}`]),
      ...(network ? [] : ['force-network-mode=none']),
      ...images.map(({ name, digest }) => `context:${name}=oci-layout://images@${digest}`),
      ...args.map((arg) => `build-arg:${arg}`),
    ];
    return [
      ['buildctl', '--addr', builder.address, 'build', '--progress', 'rawjson'],
      ['--frontend', 'dockerfile.v0'],
      noCache ? ['--no-cache'] : [],
      ['--local', `context=${context}`, '--local', `dockerfile=${DOCKERFILE_DIR}`],
      images.length === 0 ? [] : ['--oci-layout', `images=${LAYOUT_DIR}`],
      options.flatMap((option) => ['--opt', option]),
      credentials,
      imports.flatMap((cache) => ['--import-cache', cache]),
      exports.flatMap((cache) => ['--export-cache', cache]),
      ['--output', OUTPUT],
    ].flat();
  }
  return [
    ['docker', 'buildx', '--builder', builder.name, 'build', '--progress', 'rawjson'],
    ['--provenance=false', '--sbom=false', '--platform', formatPlatform(platform)],
    noCache ? ['--no-cache'] : [],
    network ? [] : ['--network', 'none'],
    target === undefined ? [] : ['--target', target],
    images.flatMap(({ name, digest }) => [
      '--build-context',
      `${name}=oci-layout://${LAYOUT_DIR}@${digest}`,
    ]),
    args.flatMap((arg) => ['--build-arg', arg]),
    credentials,
    imports.flatMap((cache) => ['--cache-from', cache]),
    exports.flatMap((cache) => ['--cache-to', cache]),
    ['--output', OUTPUT, '--file', `${DOCKERFILE_DIR}/Dockerfile`, context],
  ].flat();
}

/**
 * Formats a cache option. Rejects a reference that could add further settings.
 * @throws REFERENCE_INVALID
 */
function registryCache(text: string, more = ''): string {
  const { domain = '' } = parseReference(text);
  const insecure = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/.test(domain);
  return `type=registry,ref=${text}${more}${insecure ? ',registry.insecure=true' : ''}`;
}

/**
 * Returns the build arguments of the request without those that configure BuildKit (one makes it
 * fetch a frontend), and with those that set up RUN as in lkt.
 */
function buildArguments(
  { buildPlatform }: RequestPlan,
  { buildArgs, emptyCaches = false }: BuildRequest,
): ReadonlyMap<string, string> {
  return new Map([
    // The platform of FROM --platform=$BUILDPLATFORM is decided here, not by the builder.
    ['BUILDPLATFORM', formatPlatform(buildPlatform)],
    ['BUILDOS', buildPlatform.os],
    ['BUILDARCH', buildPlatform.architecture],
    ['BUILDVARIANT', buildPlatform.variant ?? ''],
    ...[...buildArgs].filter(([name]) => !name.startsWith('BUILDKIT_')),
    ['SOURCE_DATE_EPOCH', String(SOURCE_DATE_EPOCH)],
    ['BUILDKIT_SANDBOX_HOSTNAME', 'lkt'],
    // Caches of a name that no other build has.
    ...(emptyCaches ? [['BUILDKIT_CACHE_MOUNT_NS', randomUUID()] as const] : []),
  ]);
}
