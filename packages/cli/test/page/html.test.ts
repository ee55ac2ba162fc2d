import { expect, test } from 'vitest';
import { documentOf } from '../../src/page/document.ts';
import { dataElement, markup, visible } from '../../src/page/html.ts';

test('escapes text, and inserts HTML and lists as they are', () => {
  const name = `</script><b a='1'>&"\``;
  expect(markup`<p title="${name}">${[1, markup`<i>${'<'}</i>`, undefined]}</p>`.text).toBe(
    '<p title="&#60;/script&#62;&#60;b a=&#39;1&#39;&#62;&#38;&#34;&#96;">1<i>&#60;</i></p>',
  );
});

test('makes characters visible that hide or reorder text', () => {
  expect(visible('a\u202egpj\u0000\n\u{2028}\ud800')).toBe(
    'a\\u{202e}gpj\\u{0}\\u{a}\\u{2028}\ufffd',
  );
});

test('cannot end the element of data', () => {
  const data = { a: '</script><!--<script>&\u2028' };
  const { text } = dataElement(data);
  expect(text.match(/<\/?script|<!--/g)).toEqual(['<script', '</script']);
  const json = text.slice(text.indexOf('>') + 1, text.lastIndexOf('<'));
  expect(JSON.parse(json)).toEqual(data);
});

test('allows only the script and style of the page itself', () => {
  const page = documentOf({ title: 'a', body: markup`<p>b</p>`, script: 'let a;', style: 'b {}' });
  expect(page).toMatch(
    /content="default-src &#39;none&#39;; style-src &#39;sha256-[\w+/]{43}=&#39;; script-src &#39;sha256-[\w+/]{43}=&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;"/,
  );
});
