import { digestOf } from '@lkt/core';
import { openStore, writeImage } from '@lkt/oci';
import { silentReporter } from '@lkt/core';
import { expect, test } from 'vitest';
import { parseBuilder } from '../src/address.ts';
import { buildCommand } from '../src/command.ts';
import { dockerfileText } from '../src/dockerfile-text.ts';
import { namedContexts } from '../src/named-contexts.ts';
import type { BuildRequest } from '@lkt/builder';
import { planRequest, type RequestPlan } from '../../builder/src/request-plan.ts';
import { scratch } from '../../builder/test/fixture.ts';

const TEXT = `# syntax=somewhere/else:1
# escape=\`
ARG V=1
FROM lkt/a:\${V} AS lkt
# a comment
RUN true
FROM scratch
COPY --from=lkt/b@${digestOf('b')} \`
  x y /
COPY --from=lkt z /
`;

async function planned(directory: string): Promise<{ plan: RequestPlan; request: BuildRequest }> {
  const store = await openStore(directory);
  const platform = { os: 'linux', architecture: 'amd64' };
  const { digest } = await writeImage(store, { config: {}, layers: [], platform });
  const request: BuildRequest = {
    name: 'test',
    dockerfile: { path: 'Dockerfile', text: TEXT },
    context: [],
    buildArgs: new Map([
      ['V', '2'],
      ['BUILDKIT_SYNTAX', 'somewhere/else:2'],
    ]),
    labels: {},
    platform,
    network: false,
    bases: new Map([
      ['lkt/a:2', digest],
      [`lkt/b@${digestOf('b')}`, digest],
    ]),
  };
  return { plan: await planRequest(request, { store, reporter: silentReporter }), request };
}

test('writes a Dockerfile for BuildKit without external references', async () => {
  using place = scratch();
  const { plan } = await planned(place.path);
  expect(dockerfileText(plan)).toBe(`# escape=\`
ARG V=1
FROM lkt-base-0 AS lkt
# a comment
ARG SOURCE_DATE_EPOCH=1492533000
RUN true
FROM scratch
ARG SOURCE_DATE_EPOCH=1492533000
COPY --from=lkt-base-1 \`
  x y /
COPY --from=lkt z /
`);
});

test.each([
  ['tcp://[::1]:1234', 'buildctl --addr tcp://[::1]:1234 build --progress rawjson'],
  ['unix:///run/buildkit/x.sock', 'buildctl --addr unix:///run/buildkit/x.sock build'],
  ['docker-container://name', 'buildctl --addr docker-container://name build'],
  ['buildx:my-builder', 'docker buildx --builder my-builder build --progress rawjson'],
])('writes the command for %s', async (address, start) => {
  using place = scratch();
  const { plan, request } = await planned(place.path);
  const images = await namedContexts(plan, await openStore(place.path));
  const words = buildCommand(parseBuilder(address), plan, request, {
    context: 'context-1',
    images,
  }).join(' ');
  expect(words.startsWith(`${start} `)).toBe(true);
  expect(words).toContain('lkt-base-1=oci-layout://images@sha256:');
  expect(words).toMatch(/ --local context=context-1 | context-1$/);
  expect(words).toContain('V=2');
  expect(words).not.toContain('BUILDKIT_SYNTAX');
  expect(words).toMatch(/force-network-mode=none|--network none/);
});

test.each(['', 'ssh://x', 'buildx:', 'buildx:-x', 'docker-container://-x', 'unix://x', 'tcp://x'])(
  'rejects the address "%s"',
  (address) => {
    expect(() => parseBuilder(address)).toThrow(expect.objectContaining({ code: 'USAGE_INVALID' }));
  },
);
