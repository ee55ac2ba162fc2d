/** The style of every page, for light and dark. */
export const PAGE_STYLE: string = `
:root {
  color-scheme: light dark;
  --page: light-dark(#fff, #16181d);
  --text: light-dark(#1d2026, #dcdfe4);
  --soft: light-dark(#59606b, #a0a7b2);
  --line: light-dark(#d5d9df, #3a3f48);
  --fill: light-dark(#f3f5f8, #20242b);
  --link: light-dark(#0b57c2, #8ab8ff);
  --good: light-dark(#17693a, #74d39a);
  --bad: light-dark(#b00020, #ff8080);
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--page); color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
a { color: var(--link); }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .3rem; padding: .3rem .6rem; background: var(--page); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin-top: .6rem; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
main:focus { outline: none; }
.soft { color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
code { font: 12px ui-monospace, monospace; overflow-wrap: anywhere; }
.scroll { overflow: auto; max-height: 40rem; border: 1px solid var(--line); border-radius: 4px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
thead th { position: sticky; top: 0; background: var(--fill); z-index: 1; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 600; min-width: 11rem; max-width: 30rem; }
td { min-width: 6rem; }
td.words { overflow-wrap: break-word; }
td:has(> code) { min-width: 20rem; }
td > span { white-space: nowrap; }
.number { min-width: 0; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
.search { display: flex; align-items: center; gap: .6rem; margin: .4rem 0; }
input[type=search] { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--soft); border-radius: 4px; padding: .25rem .5rem; width: min(24rem, 60vw); }
button { font: inherit; color: inherit; background: var(--fill); border: 1px solid var(--line); border-radius: 4px; padding: .15rem .6rem; cursor: pointer; }
button[aria-pressed=true] { border-color: var(--link); color: var(--link); }
meter { width: 8rem; }
ul { margin: 0; padding-left: 1.1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .4rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
`;
