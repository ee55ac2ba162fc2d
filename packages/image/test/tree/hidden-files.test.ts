import { expect, it } from 'vitest';
import { compose } from '../compose-fixture.ts';
import { image, tempStore } from '../support.ts';

it.each([
  [
    'erofs seccomp',
    [
      'system.yml:4:5: a file system in memory, which lkt/init mounts on /var, hides /var/lib/a',
      'system.yml:5:5: a file system in memory, which lkt/init mounts on /run, hides /run',
    ],
  ],
  ['seccomp', []],
])('warns about files that init hides, with the features %s', async (features, expected) => {
  const store = await tempStore();
  const init = await image(store, [{ init: 'i' }], { Labels: { 'lkt.guest.features': features } });
  const text = `init: [lkt/init:1@${init}]
files:
  - {path: etc/a, contents: a}
  - {path: /var/lib/a, contents: a}
  - {path: run, directory: true}
  - {path: various, contents: a}
`;
  expect((await compose(store, text, { format: ['tar'] })).warnings).toEqual(expected);
});
