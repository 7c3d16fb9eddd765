/** @file The report's style sheet: two themes of one ramp, system fonts, nothing from the network. */

import { shades } from "./report-palette.ts";

function rampVariables(theme: "light" | "dark"): string {
  return shades(theme)
    .map(({ paper, ink }, step) => `--p${step}:${paper};--i${step}:${ink};`)
    .join("");
}

const LIGHT = `--page:#fcfcfb;--card:#ffffff;--ink:#1c2422;--soft:#5d6865;--line:#e3e7e5;--accent:#115d5d;${rampVariables("light")}`;
const DARK = `--page:#14171a;--card:#1a1e21;--ink:#e4e9e7;--soft:#98a39f;--line:#2c3235;--accent:#86cdc3;${rampVariables("dark")}`;

const stepRules = shades("light")
  .map((_, step) => `.h${step}{background:var(--p${step});color:var(--i${step})}.f${step}{fill:var(--p${step})}`)
  .join("\n");

/** The whole style sheet. */
export const reportStyle: string = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:56px 28px 96px}
h1{font-size:28px;line-height:1.2;font-weight:620;letter-spacing:-.015em;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:17px;font-weight:620;margin:56px 0 4px}
h3{font-size:13px;font-weight:600;margin:0 0 8px;color:var(--soft)}
p{margin:0 0 14px;max-width:80ch}
.over{font-size:12px;letter-spacing:.08em;text-transform:uppercase;color:var(--accent);font-weight:600;margin:0 0 10px}
.soft{color:var(--soft)}
.mono,.tokens,.map text{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.settings{display:flex;flex-wrap:wrap;gap:4px 22px;margin:18px 0 0;padding:0;font-size:13px}
.settings div{display:flex;gap:7px}
.settings dt{color:var(--soft)}
.settings dd{margin:0;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;margin:32px 0 0;padding:0;background:var(--line);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.facts div{background:var(--card);padding:16px 18px;display:flex;flex-direction:column-reverse}
.facts dt{font-size:13px;color:var(--soft)}
.facts dd{margin:0;font-size:24px;font-weight:560;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.facts small{font-size:14px;color:var(--soft);font-weight:400}
.legend{display:flex;align-items:flex-end;gap:3px;margin:18px 0 0;padding:0;list-style:none;overflow-x:auto;max-width:720px}
.legend li{flex:1 1 0;min-width:42px;text-align:center;font-size:12px;font-variant-numeric:tabular-nums}
.legend .bar{display:flex;align-items:flex-end;height:72px;border-bottom:1px solid var(--line)}
.legend .bar i{display:block;width:100%;border-radius:3px 3px 0 0;box-shadow:inset 0 0 0 1px var(--line)}
.legend .swatch{display:block;margin-top:5px;border-radius:4px;padding:2px 0;box-shadow:inset 0 0 0 1px var(--line)}
.legend .share{display:block;margin-top:3px;color:var(--soft);font-size:11px;white-space:nowrap}
.tables{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:24px 48px;margin-top:16px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:13px;padding:0 0 6px}
th,td{text-align:right;padding:5px 0 5px 18px;border-bottom:1px solid var(--line);font-weight:400;white-space:nowrap}
thead th{color:var(--soft);font-size:12.5px}
th:first-child,td:first-child{text-align:left;padding-left:0}
table.layers{max-width:760px}
td.wide{width:44%;min-width:90px}
td.dense{text-align:left;color:var(--soft)}
table.layers th:first-child{width:64px}
.meter{display:block;height:8px;border-radius:4px;background:var(--p0);overflow:hidden}
.meter i{display:block;height:100%;border-radius:4px;background:var(--accent)}
article{margin:22px 0 0;padding:18px 20px 14px;background:var(--card);border:1px solid var(--line);border-radius:10px}
article header{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 14px;margin:0 0 12px;font-size:13px;color:var(--soft);font-variant-numeric:tabular-nums}
article header b{color:var(--ink);font-weight:620}
article .text{flex:1 1 260px;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.tokens{display:flex;flex-wrap:wrap;gap:3px;margin:0;padding:0;list-style:none;font-size:13px;line-height:1.35}
.tokens li{padding:3px 6px;border-radius:5px;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;cursor:default}
.tokens li:focus-visible,.tokens li.on{outline:2px solid var(--accent);outline-offset:1px}
.readout{min-height:1.6em;margin:10px 0 2px;font-size:13px;color:var(--soft);max-width:none}
details{font-size:13px;margin-top:4px}
summary{cursor:pointer;color:var(--accent);width:max-content;border-radius:4px}
summary:focus-visible,.scroll:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
details .scroll{margin:12px 0 4px;padding-bottom:4px}
.map{display:block}
.map text{font-size:9px;fill:var(--soft)}
.map .field{fill:var(--p0)}
.map .dense{stroke:var(--line);stroke-width:2;stroke-dasharray:2 4}
.map .dot{fill:var(--soft)}
.map .cursor{fill:var(--accent);opacity:.22}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 6px;padding:0;list-style:none;color:var(--soft);font-size:12.5px}
.key i{display:inline-block;margin-right:7px;vertical-align:-1px}
.key .square{width:10px;height:12px;background:var(--p9)}
.key .speck{width:4px;height:4px;background:var(--soft);vertical-align:3px}
.key .dash{width:20px;height:0;border-top:2px dashed var(--line);vertical-align:4px}
.note{margin:22px 0 0;padding:10px 14px;border-left:3px solid var(--accent);background:var(--card);font-size:13.5px}
footer{margin-top:64px;font-size:12.5px;color:var(--soft)}
${stepRules}
@media (prefers-contrast:more){.tokens li{box-shadow:inset 0 0 0 1px var(--soft)}}
@media print{main{max-width:none;padding:0}article{break-inside:avoid}}
`;
