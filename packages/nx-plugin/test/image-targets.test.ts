import { expect, test } from 'vitest';
import { imageTargets } from '../src/image-targets.ts';
import { settingsOf } from '../src/options.ts';

test('the target image-test runs the tests of the config, and depends on it', () => {
  const image = {
    file: 'images/web.yml',
    dir: 'images',
    name: 'web',
    inputs: { files: ['/top/images/web.yml'], sources: [], uses: [], foreign: [] },
  };
  const settings = settingsOf({ expect: ['up', 'ready'], timeout: 60 });
  const { 'image-test--web': target } = imageTargets([image], '/top', settings, new Map());
  expect(JSON.stringify(target?.options)).toContain(
    'lkt test --layouts .nx/lkt --dir out/web --ready up --ready ready --boot-timeout 60s --junit out/web/web-junit.xml images/web.yml',
  );
  expect(target).toMatchObject({
    cache: true,
    outputs: ['{workspaceRoot}/out/web/web-junit.xml'],
    dependsOn: ['image-build--web'],
  });
  expect(target?.inputs).toContain('{workspaceRoot}/images/web.yml');
});

test('the target pin writes into the config, while no other task runs', () => {
  const image = { file: 'images/web.yml', dir: 'images', name: 'web', inputs: undefined };
  const settings = settingsOf({ lkt: './lkt', buildYml: 'package.yml' });
  const { 'pin--web': target, pin } = imageTargets([image], '/top', settings, new Map());
  expect(target).toMatchObject({
    options: { command: './lkt pin --build-yml package.yml images/web.yml' },
    cache: false,
    parallelism: false,
  });
  expect(pin?.dependsOn).toEqual([{ target: 'pin--web', params: 'forward' }]);
});
