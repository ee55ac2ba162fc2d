import { type Html, markup, type HtmlValue } from './html.ts';

/** A column of a table. */
interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
  /** Lets the column be as wide as its longest word. */
  readonly hasWholeWords?: boolean;
}

export interface Table {
  /** Says what the table lists, for readers who do not see it. */
  readonly label: string;
  readonly columns: readonly Column[];
  /** The first cell of a row names it. */
  readonly rows: readonly (readonly HtmlValue[])[];
  /** Add a search field; default: in tables of more than eight rows. */
  readonly hasSearch?: boolean;
}

/** More rows would make browsers slow. */
const MAX_ROWS = 10_000;

/** Returns a table, with a search field if it is long, which needs {@link TABLE_SCRIPT}. */
export function tableOf({ label, columns, rows, hasSearch = rows.length > 8 }: Table): Html {
  const more = rows.length - MAX_ROWS;
  const table = markup`<div class="scroll" role="region" aria-label="${label}" tabindex="0"><table>
<thead><tr>${columns.map(headOf)}</tr></thead>
<tbody>
${rows.slice(0, MAX_ROWS).map((row) => rowOf(row, columns))}</tbody>
</table></div>${more > 0 ? markup`<p class="soft">${more} more rows are in --json.</p>` : undefined}`;
  if (!hasSearch) return table;
  return markup`<div class="searchable"><div class="search"><input type="search" placeholder="Search" aria-label="Search in: ${label}"><output aria-live="polite">${rows.length}</output></div>
${table}</div>`;
}

function headOf(column: Column): Html {
  return markup`<th scope="col"${classOf(column)}>${column.title}</th>`;
}

function rowOf([name, ...cells]: readonly HtmlValue[], [, ...columns]: readonly Column[]): Html {
  const shown = cells.map((cell, index) => {
    const column = columns[index];
    return markup`<td${column && classOf(column)}>${cell}</td>`;
  });
  return markup`<tr><th scope="row">${name}</th>${shown}</tr>\n`;
}

function classOf({ isNumber, hasWholeWords }: Column): Html | undefined {
  if (isNumber === true) return markup` class="number"`;
  return hasWholeWords === true ? markup` class="words"` : undefined;
}

/** Shows only the rows that contain all words of the search field. */
export const TABLE_SCRIPT: string = `
for (const box of document.querySelectorAll('.searchable')) {
  const input = box.querySelector('input');
  const count = box.querySelector('output');
  const rows = [...box.querySelectorAll('tbody tr')].map((row) => [row, row.textContent.toLowerCase()]);
  const search = () => {
    const words = input.value.toLowerCase().split(/\\s+/);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    count.value = shown === rows.length ? String(shown) : shown + ' of ' + rows.length;
  };
  input.addEventListener('input', search);
  if (input.value !== '') search();
}
`;
