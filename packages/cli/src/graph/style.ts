/** The style of the page of a graph, besides that of every page. */
export const GRAPH_STYLE: string = `
body { max-width: none; --package: light-dark(#e3edff, #1f2d45); --base: light-dark(#f1f1f1, #2b2b2b); --image: light-dark(#e2f5e6, #1e3a26); --edge: light-dark(#8a93a0, #6c7480); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0; margin: .5rem 0; }
.swatch { display: inline-block; width: 1.4rem; height: .9rem; margin-right: .4rem; vertical-align: -1px; border: 1.5px solid var(--edge); border-radius: 3px; }
.swatch.package { background: var(--package); }
.swatch.base { background: var(--base); }
.swatch.image { background: var(--image); }
.swatch.open { border-style: dashed; }
.swatch.bad { border-color: var(--bad); }
.swatch.on { border: 2.5px solid var(--link); }
.tools { display: flex; flex-wrap: wrap; gap: .4rem 1.5rem; align-items: center; }
.tools span { display: flex; gap: .3rem; align-items: center; }
output.zoom { min-width: 3.5rem; text-align: center; }
.panel { margin: .6rem 0; padding: .6rem .8rem; background: var(--fill); border: 1px solid var(--line); border-radius: 4px; height: 15rem; overflow: auto; }
.panel h2 { margin: 0 0 .3rem; overflow-wrap: anywhere; }
.panel dl { margin: .2rem 0; }
.panel dd { display: flex; flex-wrap: wrap; gap: .2rem .4rem; align-items: center; }
.panel button { padding: 0 .4rem; background: var(--page); overflow-wrap: anywhere; text-align: left; }
.graph { overflow: auto; max-height: 80vh; border: 1px solid var(--line); border-radius: 4px; }
details { margin-top: 1rem; }
summary { cursor: pointer; padding: .3rem 0; }
.graph svg { display: block; font: 12px system-ui, sans-serif; }
.graph rect { stroke: var(--edge); stroke-width: 1.5; }
.graph .package rect { fill: var(--package); }
.graph .base rect { fill: var(--base); }
.graph .image rect { fill: var(--image); }
.graph .open rect { stroke-dasharray: 4 3; }
.graph .bad rect, .graph path.bad { stroke: var(--bad); }
.graph text { fill: var(--text); }
.graph .state { font-size: 10px; fill: var(--soft); }
.graph .size { text-anchor: end; }
.graph path { fill: none; stroke: var(--edge); stroke-width: 1.2; }
.graph g { cursor: pointer; outline: none; }
.graph g:focus-visible rect { stroke: var(--text); stroke-width: 3; }
.graph .chosen g, .graph .chosen path { opacity: .18; }
.graph .chosen .on { opacity: 1; }
.graph path.way { stroke: var(--link); stroke-width: 2.5; }
.graph [aria-pressed=true] rect { stroke: var(--link); stroke-width: 2.5; }
.graph g.miss, .graph .searched path:not(.on) { opacity: .18; }
`;
