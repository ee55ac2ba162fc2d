import { readTar } from '@lkt/oci';
import { expect, it } from 'vitest';
import { compose } from '../compose-fixture.ts';
import { chunks, image, tempStore } from '../support.ts';

it.each([
  ['/', 'rootfs'],
  ['/data', 'rootfs'],
  ['/data/new', 'lower'],
])('a read-only container with cwd %s has its files in %s', async (cwd, place) => {
  const store = await tempStore();
  const init = await image(store, [{ init: 'i' }], { Labels: { 'lkt.guest.features': 'erofs' } });
  const web = await image(store, [{ web: 'x', 'data/': '' }], { Cmd: ['/web'], WorkingDir: cwd });
  const service = `{name: web, image: "acme/web:1@${web}", readonly: true}`;
  const text = `init: [lkt/init:1@${init}]\nservices: [${service}]\n`;
  const { read } = await compose(store, text, { format: ['tar'] });
  const paths: string[] = [];
  for await (const { path } of readTar(chunks(read('system.tar')))) paths.push(path);
  expect(paths).toContain(`containers/services/web/${place}/web`);
});
