import { expect, it } from 'vitest';
import { renderTag } from '../src/pins/tag.ts';

it.each([
  ['{{.Hash}}', 'abc', 'abc'],
  ['v1-{{ .Hash }}-x', 'abc', 'v1-abc-x'],
  ['v1 {{- .Hash -}} x', 'abc', 'v1abcx'],
  ['v1 {{ .Hash -}} x', 'abc', undefined],
  ['fixed', 'abc', 'fixed'],
  ['{{.Hash}}', '', 'latest'],
  ['{{.Hash}}{{.Hash}}', 'a$&', undefined],
  ['{{.Nope}}', 'abc', undefined],
  ['{{.Hash | printf "x"}}', 'abc', undefined],
  ['{{.Hash', 'abc', undefined],
  ['a b', 'abc', undefined],
  ['-a', 'abc', undefined],
  ['x'.repeat(129), 'abc', undefined],
])('%s of "%s"', (template, hash, expected) => {
  if (expected === undefined)
    expect(() => renderTag(template, hash)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  else expect(renderTag(template, hash)).toBe(expected);
});
