import { digestOf } from '@lkt/core';
import { debComponent, goComponent, imageComponent, type spdxOf } from '../src/index.ts';
import { kernelComponent } from '../src/kernel-component.ts';

const PLATFORM = { os: 'linux', architecture: 'amd64' };

/** An SBOM with components of every kind. */
export const EXAMPLE: Parameters<typeof spdxOf>[0] = {
  image: imageComponent('lkt/app', digestOf('image'), PLATFORM),
  contents: [
    {
      component: debComponent({
        name: 'libstdc++6',
        version: '1:14.2.0-19',
        architecture: 'amd64',
        suite: 'trixie',
        digest: digestOf('deb'),
        source: 'gcc-14',
      }),
      paths: ['usr/lib/libstdc++.so.6'],
    },
    { component: kernelComponent('6.12.94 (lkt@lkt) #1 SMP') },
    {
      component: goComponent({ path: 'example.org/program', version: 'v1.2.3' }),
      parts: [{ component: goComponent({ path: 'example.org/module', version: 'v0.1.0' }) }],
    },
  ],
  generatedFrom: [{ kind: 'source', name: 'lkt/app', digest: digestOf('context') }],
  base: imageComponent('lkt/base', digestOf('base')),
  buildTools: [imageComponent('lkt/tool', digestOf('tool'))],
};
