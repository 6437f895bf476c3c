/** The page's looks. It names no address and asks for nothing. The page's policy lets in exactly this text. */
export const STYLE = `
:root{color-scheme:light dark;--back:#f6f6f3;--card:#fff;--ink:#1b1d20;--soft:#5b6067;--line:#e2e2dc;--faint:#efefea;
--good:#146c43;--bad:#b3261e;--warn:#7a5200;--mark:#2f5fd0;
--c0:#3f66d4;--c1:#e09a0b;--c2:#1f9e89;--c3:#d8574a;--c4:#8a5cd6;--c5:#5aa63c;--c6:#d65f9c;--c7:#8a8f98}
@media (prefers-color-scheme:dark){:root{--back:#121316;--card:#1a1c20;--ink:#e9e9e6;--soft:#a3a8b0;--line:#30343a;--faint:#23262b;
--good:#5fd39a;--bad:#ff9389;--warn:#f0c060;--mark:#8fb0ff;
--c0:#6c8ff0;--c1:#efb340;--c2:#3dc2ab;--c3:#f07d70;--c4:#ab86ee;--c5:#83c866;--c6:#ec8bbd;--c7:#8b919b}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
main,header,footer{max-width:1180px;margin:0 auto;padding:0 24px}
header{padding-top:36px}
h1{font-size:26px;line-height:1.25;letter-spacing:-.01em;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;letter-spacing:-.005em;margin:0 0 4px}
h3{font-size:14px;margin:20px 0 6px}
p{margin:0 0 10px;max-width:76ch}
.soft,caption,figcaption{color:var(--soft)}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 24px 24px;margin:18px 0}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:1px;background:var(--line);padding:0;overflow:hidden;margin-top:22px}
.tiles h2{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.tiles dl{display:contents}
.tile{background:var(--card);padding:16px 20px 15px;min-width:0}
.tile dt{color:var(--soft);font-size:13px}
.tile dd{margin:0}
.tile .value{font-size:25px;line-height:1.3;font-weight:600;letter-spacing:-.015em;overflow-wrap:anywhere}
.tile .value.long{font-size:18px;line-height:1.8}
.tile .note{font-size:13px;color:var(--soft)}
.notes{list-style:none;margin:16px 0 0;padding:0}
.notes li{border-left:3px solid var(--line);padding:1px 0 1px 12px;margin:8px 0;max-width:90ch}
.notes li.warn{border-color:var(--warn);color:inherit}
fieldset{border:0;padding:0;margin:12px 0 4px;display:flex;flex-wrap:wrap;gap:6px}
legend{float:left;padding:4px 8px 4px 0;color:var(--soft);font-size:14px}
fieldset input{position:absolute;opacity:0;width:1px;height:1px}
fieldset label{border:1px solid var(--line);border-radius:999px;padding:3px 14px;font-size:14px;cursor:pointer}
fieldset input:checked+label{background:var(--ink);border-color:var(--ink);color:var(--card)}
fieldset input:focus-visible+label,button:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
.panel{display:none}
section:has(#by-task:checked) .by-task,section:has(#by-model:checked) .by-model,
section:has(#by-provider:checked) .by-provider,section:has(#by-host:checked) .by-host{display:block}
.panel>h3{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@supports not selector(:has(a)){fieldset{display:none}.panel{display:block}.panel>h3{position:static;width:auto;height:auto;clip-path:none}}
figure{margin:10px 0 18px}
.chart{display:flex}
.chart .axis{flex:0 0 64px}
.chart .plot{flex:1 1 0;min-width:0;width:0;overflow:visible}
svg{display:block}
svg text{fill:var(--soft);font-size:12px;font-family:inherit}
.grid{stroke:var(--line);stroke-width:1}
.hit{fill:transparent}
.hit:hover{fill:var(--ink);fill-opacity:.07}
.c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}.c7{fill:var(--c7)}
.maybe{fill:var(--ink);fill-opacity:.16}
.fill-good{fill:var(--good)}.fill-bad{fill:var(--bad)}.fill-soft{fill:var(--c7)}.fill-mark{fill:var(--c0)}.fill-warn{fill:var(--c1)}
.line-mark{stroke:var(--c0);stroke-width:2}.line-soft{stroke:var(--line);stroke-width:1}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0 0 0 64px;list-style:none;font-size:13px}
.legend svg{display:inline-block;vertical-align:-1px;margin-right:6px}
.scroll{overflow-x:auto;margin:0 -24px;padding:0 24px;position:relative}
table{border-collapse:collapse;width:100%;font-size:13.5px}
caption{text-align:left;padding:0 0 6px;font-size:13px}
th,td{padding:6px 0 6px 14px;text-align:right;border-bottom:1px solid var(--faint);white-space:nowrap;vertical-align:top}
th:first-child,td:first-child{padding-left:0}
thead th{color:var(--soft);font-weight:500;font-size:12.5px;line-height:1.3;white-space:normal;border-bottom-color:var(--line);vertical-align:bottom}
tbody th{font-weight:500}
th.name,td.name,.name{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:11em}
td.wide,th.wide{width:26%;padding-left:24px;min-width:150px;text-align:left}
tbody tr:hover{background:var(--faint)}
tfoot td,tfoot th{border-bottom:0;border-top:1px solid var(--line);font-weight:600}
td.name{text-align:left}
td small,th small{color:var(--soft);font-weight:400;font-size:12px;display:block}
thead button{all:unset;cursor:pointer;color:inherit;border-radius:3px;position:relative}
thead button:hover{color:var(--ink)}
thead button::after{content:"";position:absolute;left:100%;bottom:0}
th[aria-sort=ascending] button::after{content:"\\2191"}
th[aria-sort=descending] button::after{content:"\\2193"}
th[aria-sort] button,th[aria-sort]{color:var(--ink)}
details{margin-top:14px}
summary{cursor:pointer;color:var(--soft);font-size:14px;width:max-content;max-width:100%;border-radius:3px}
table:not(.sortable) .wide{width:62%}
.empty{color:var(--soft)}
.tip{position:fixed;pointer-events:none;z-index:9;background:var(--ink);color:var(--card);border-radius:8px;padding:8px 12px;font-size:12.5px;
line-height:1.45;white-space:pre-line;max-width:340px;box-shadow:0 4px 18px #0004}
footer{padding-bottom:48px;color:var(--soft);font-size:13px}
footer p{max-width:96ch}
@media (max-width:860px){thead th{white-space:nowrap}}
@media (max-width:860px){.tiles{grid-template-columns:repeat(2,1fr)}}
@media (max-width:560px){main,header,footer{padding-left:12px;padding-right:12px}section{padding:18px 14px;border-radius:10px}
.tiles{padding:0}.tile{padding:12px 14px}.tile .value{font-size:20px}.tile .value.long{font-size:15px}.scroll{margin:0 -14px;padding:0 14px}
.chart .axis{flex-basis:52px}.legend{padding-left:0}.sparse{display:none}.chart .mark{font-size:9px}th,td{padding-left:14px}h1{font-size:22px}
table:not(.sortable) .wide{min-width:80px}table:not(.sortable) .name{min-width:7em}}
@media print{:root{color-scheme:light;--back:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--faint:#ddd}
body{font-size:11px}main,header,footer{max-width:none;padding-left:0;padding-right:0}section{border:0;padding:0;margin:20px 0}
.tiles{border:1px solid var(--line);break-inside:avoid}fieldset,.tip{display:none}
.panel{display:block}.panel>h3{position:static;width:auto;height:auto;clip-path:none}
.scroll{overflow:visible;margin:0;padding:0}table{font-size:10px}th,td{padding-left:8px}thead button::after{content:none}
figure,tr,.tile{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
`
