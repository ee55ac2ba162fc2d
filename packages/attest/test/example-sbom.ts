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
        license: {
          license: 'LicenseRef-copyright-0123456789abcdef',
          concludedLicense: 'GPL-3.0-or-later AND LicenseRef-copyright-0123456789abcdef',
          licenseTexts: [{ id: 'LicenseRef-copyright-0123456789abcdef', text: 'The terms' }],
        },
      }),
      paths: ['usr/lib/libstdc++.so.6'],
      parts: [
        {
          component: debComponent({ name: 'glibc', version: '2.41-12', architecture: 'source' }),
          relation: 'STATIC_LINK',
        },
        {
          component: debComponent({ name: 'gmp', version: '2:6.3-1', architecture: 'source' }),
          relation: 'GENERATED_FROM',
        },
      ],
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
