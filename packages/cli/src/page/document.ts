import { createHash } from 'node:crypto';
import { Html, markup } from './html.ts';
import { PAGE_STYLE } from './style.ts';

/** A whole page. */
export interface PageDocument {
  readonly title: string;
  readonly body: Html;
  /** Added to the common style. */
  readonly style?: string;
  readonly script?: string;
}

/**
 * Returns a page as one file. Its policy allows only its own style and script, so that it loads
 * nothing and runs nothing else, even if a name were not escaped.
 */
export function documentOf({ title, body, style = '', script = '' }: PageDocument): string {
  const css = `${PAGE_STYLE}${style}`;
  const policy = [
    "default-src 'none'",
    `style-src '${sha256(css)}'`,
    `script-src '${sha256(script)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${new Html(css)}</style>
</head>
<body>
${body}
<script>${new Html(script)}</script>
</body>
</html>
`.text;
}

/** A part of a report, with a heading and a link to it. */
export interface Section {
  readonly title: string;
  readonly body: Html;
}

/** Returns the body of a report: a heading, links to the sections, and the sections. */
export function reportBody(title: string, lead: Html, sections: readonly Section[]): Html {
  const named = sections.map((section) => ({
    ...section,
    id: section.title.toLowerCase().replaceAll(/[^a-z]+/g, '-'),
  }));
  return markup`<a class="skip" href="#main">Skip to the report</a>
<header>
<h1>${title}</h1>
${lead}
<nav aria-label="Sections">${named.map(({ id, title: name }) => markup`<a href="#${id}">${name}</a>`)}</nav>
</header>
<main id="main" tabindex="-1">
${named.map(sectionOf)}</main>`;
}

function sectionOf({ id, title, body }: Section & { readonly id: string }): Html {
  return markup`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${body}</section>
`;
}

function sha256(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
