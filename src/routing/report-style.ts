/** @file The report's style sheet: two themes of one ramp, system fonts, nothing from the network. */

import { cards, series, shades } from "./report-palette.ts";

function rampVariables(theme: "light" | "dark"): string {
  return shades(theme)
    .map(({ paper, ink }, step) => `--p${step}:${paper};--i${step}:${ink};`)
    .join("");
}

function seriesVariables(theme: "light" | "dark"): string {
  return series[theme].map((color, index) => `--c${index}:${color};`).join("");
}

const LIGHT = `--page:#fcfcfb;--card:${cards.light};--ink:#1c2422;--soft:#5d6865;--line:#e3e7e5;--accent:#115d5d;--second:#c2570c;--wrong:#a8322a;${seriesVariables("light")}${rampVariables("light")}`;
const DARK = `--page:#14171a;--card:${cards.dark};--ink:#e4e9e7;--soft:#98a39f;--line:#2c3235;--accent:#86cdc3;--second:#f0a35e;--wrong:#f19a8f;${seriesVariables("dark")}${rampVariables("dark")}`;

const stepRules = shades("light")
  .map((_, step) => `.h${step}{background:var(--p${step});color:var(--i${step})}.s${step}{stroke:var(--p${step})}`)
  .join("\n");

const seriesRules = series.light.map((_, index) => `.c${index}{--series:var(--c${index})}`).join("");

/** The whole style sheet. */
export const reportStyle: string = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
:root:has(#theme-light:checked){color-scheme:light;${LIGHT}}
:root:has(#theme-dark:checked){color-scheme:dark;${DARK}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:56px 28px 96px}
h1{font-size:28px;line-height:1.2;font-weight:620;letter-spacing:-.015em;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:17px;font-weight:620;margin:56px 0 4px}
h3{font-size:13px;font-weight:600;margin:0 0 8px;color:var(--soft)}
p{margin:0 0 14px;max-width:80ch}
.over{font-size:12px;letter-spacing:.08em;text-transform:uppercase;color:var(--accent);font-weight:600;margin:0 0 10px}
.top{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:flex-start;gap:8px 24px}
.themes{display:flex;margin:-4px 0 14px;padding:2px;border:1px solid var(--line);border-radius:8px;background:var(--card);font-size:12.5px}
.themes span{display:block;padding:2px 11px;border-radius:6px;color:var(--soft);cursor:pointer}
.themes input,.unseen{position:absolute;width:1px;height:1px;margin:-1px;padding:0;border:0;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.themes label{position:relative}
.themes input:checked+span{background:var(--line);color:var(--ink)}
.themes input:focus-visible+span{outline:2px solid var(--accent);outline-offset:1px}
.device{overflow-wrap:anywhere}
.soft{color:var(--soft)}
.mono,.tokens{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.settings{display:flex;flex-wrap:wrap;gap:4px 22px;margin:18px 0 0;padding:0;font-size:13px}
.settings div{display:flex;gap:7px}
.settings dt{color:var(--soft)}
.settings div{min-width:0}
.settings dd{margin:0;min-width:0;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(150px,100%),1fr));gap:1px;margin:32px 0 0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.facts div{box-shadow:0 0 0 1px var(--line);padding:16px 18px;display:flex;flex-direction:column-reverse}
.facts dt{font-size:13px;color:var(--soft)}
.facts dd{margin:0;font-size:24px;font-weight:560;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.facts small{font-size:14px;color:var(--soft);font-weight:400}
.legend{display:flex;align-items:flex-end;gap:3px;margin:18px 0 0;padding:0;list-style:none;overflow-x:auto;max-width:720px}
.legend li{flex:1 1 0;min-width:42px;text-align:center;font-size:12px;font-variant-numeric:tabular-nums}
.legend .bar{display:flex;align-items:flex-end;height:72px;border-bottom:1px solid var(--line)}
.legend .bar i{display:block;width:100%;border-radius:3px 3px 0 0;box-shadow:inset 0 0 0 1px var(--line)}
.legend .swatch{display:block;margin-top:5px;border-radius:4px;padding:2px 0;box-shadow:inset 0 0 0 1px var(--line)}
.legend .share{display:block;margin-top:3px;color:var(--soft);font-size:11px;white-space:nowrap}
.tables{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:24px 48px;margin-top:16px}
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
.tokens.strip{flex-wrap:nowrap;gap:0}
.tokens.strip li{flex:1 1 0;min-width:0;height:20px;padding:0;font-size:0;border-radius:2px}
.tokens.patches{display:grid;width:168px;gap:1px;grid-template-columns:repeat(var(--columns),minmax(0,1fr));font-size:11px}
.tokens.patches li{display:grid;place-content:center;padding:0;aspect-ratio:1;border-radius:2px;overflow:hidden}
.tokens.patches .wide{grid-column:1/-1;aspect-ratio:auto;padding:3px 0;font-size:11px}
.tokens.patches.fine{font-size:0}
.readout{min-height:1.6em;margin:10px 0 2px;font-size:13px;color:var(--soft);max-width:none}
details{font-size:13px;margin-top:4px}
summary{cursor:pointer;color:var(--accent);width:max-content;border-radius:4px}
summary:focus-visible,.legend:focus-visible,.scroll:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
details .scroll{margin:12px 0 4px}
article .scroll{margin:10px 0 2px;padding-bottom:4px}
svg text{fill:var(--soft);font-variant-numeric:tabular-nums}
.map,.chart,.scores,.picture{display:block}
.map path,.chart path{fill:none}
.chart text,.scores text{font-size:12px}
.map text{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.map .field{stroke:var(--p0)}
.map .dense{stroke:var(--line);stroke-width:2;stroke-dasharray:2 4}
.map .light path{stroke:var(--soft)}
.map .keys path{stroke:var(--second)}
.map .shade{opacity:.42}
.map .wave{fill:var(--ink)}
.map .cursor{fill:var(--accent);opacity:.22}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;margin:8px 0 4px;padding:0;list-style:none;color:var(--soft);font-size:12.5px}
.key li{display:flex;align-items:center;gap:7px}
.key i{display:inline-block;flex:none}
.key b{color:var(--ink);font-weight:600}
.key .square{width:10px;height:12px;background:var(--accent)}
.key .square.others{background:var(--soft);opacity:.5}
.key .ramp{width:44px;height:12px;background:linear-gradient(90deg,var(--p4),var(--p7),var(--p10),var(--p12))}
.key .speck{width:44px;height:7px;background:linear-gradient(90deg,var(--p0),var(--soft));opacity:.75}
.key .under{width:12px;height:2px;background:var(--second)}
.key .dash{width:20px;height:0;border-top:2px dashed var(--line)}
.key .sample{width:28px;height:10px}
.right i,.wrong i{font-style:normal}
.right{color:var(--accent)}
.wrong{color:var(--wrong)}
figure{margin:0;min-width:0}
figcaption{font-size:13px;color:var(--soft);margin:0 0 4px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:20px 40px;margin-top:16px}
.chart,.scores{width:100%;height:auto}
.charts figure{max-width:560px}
.charts+.key{margin:14px 0}
.grid{stroke:var(--line)}
.series path,.sample path{stroke:var(--series);stroke-width:2;stroke-linejoin:round;fill:none}
.series circle{fill:var(--series);stroke:var(--page);stroke-width:1.5}
.d1 path{stroke-dasharray:6 4}
.d2 path{stroke-dasharray:2 3}
${seriesRules}
.word{text-align:left}
.histograms{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(210px,100%),1fr));gap:20px 28px;margin-top:14px}
.histograms figure{max-width:280px}
.scores .axis{stroke:var(--line)}
.scores .heavy{fill:var(--accent)}
.scores .others{fill:var(--soft);opacity:.5}
.scores path.limit{stroke:var(--second);stroke-width:1.5}
.scores text.limit{fill:var(--second)}
table.matrix,table.types{width:auto;border-collapse:separate;border-spacing:2px}
table.matrix td,table.matrix th{width:34px;min-width:34px;height:26px;padding:0 4px;text-align:center;border:0;border-radius:4px;font-size:12px}
table.matrix .self{background:var(--line);opacity:.6}
table.types th,table.types td{border:0}
table.types .shade{width:32px;min-width:32px;height:26px;padding:0 2px;text-align:center;border-radius:4px;font-size:12px}
table.types tr>:nth-child(4){padding-right:12px}
table.types td.wide{width:120px;min-width:80px}
.seen{display:flex;flex-wrap:wrap;gap:18px 24px;align-items:flex-start}
.seen figcaption{margin:5px 0 0;font-size:12px;line-height:1.35}
.by-layer{display:flex;flex-wrap:wrap;gap:10px 14px;flex:1 1 260px;min-width:0}
.by-layer small{display:block;font-size:11px;font-variant-numeric:tabular-nums}
.picture{border-radius:4px;overflow:hidden;box-shadow:0 0 0 1px var(--line)}
image{image-rendering:pixelated}
.veil{fill:var(--card)}
.kept{fill:none;stroke:var(--second);stroke-width:1.5;vector-effect:non-scaling-stroke}
.note{margin:22px 0 0;padding:10px 14px;border-left:3px solid var(--accent);background:var(--card);font-size:13.5px}
footer{margin-top:64px;font-size:12.5px;color:var(--soft)}
${stepRules}
@media (min-width:601px){.strip:not(:has(li:nth-child(200))) li{box-shadow:inset -1px 0 0 var(--card)}}
@media (max-width:600px){main{padding:32px 16px 64px}article{padding:14px 14px 10px}}
@media (prefers-contrast:more){.tokens li{box-shadow:inset 0 0 0 1px var(--soft)}}
@media print{main{max-width:none;padding:0}article,figure{break-inside:avoid}.themes,.readout{display:none}}
`;
