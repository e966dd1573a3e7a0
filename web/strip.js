// Draws a strip: one tick for each evaluation, tall = full, short = adaptor; those still to come are faint.

const SVG = "http://www.w3.org/2000/svg";
const COLORS = { F: "#5b9bff", a: "#f0b252", "?": "#888888" };
const HEIGHTS = { F: 1, a: 0.45, "?": 0.2 };
const GAP = 0.25; // share of a tick's width
const LEGEND = "Tall, blue: the whole UNet runs. Short, orange: only its cheap high-resolution part.";

const drawn = new WeakMap(); // element: what it shows

export const STRIP_MARGIN = 8;
export const STRIP_HEIGHT = 16 + 2 * 14 + 2 * 2 + 2 * STRIP_MARGIN;

/** The element, empty. */
export function createStrip() {
    const element = document.createElement("div");
    element.className = "clockwork-strip";
    element.title = LEGEND;
    Object.assign(element.style, {
        display: "flex", flexDirection: "column", gap: "2px", overflow: "hidden", boxSizing: "border-box",
        font: "11px/14px sans-serif", color: "var(--input-text, #ddd)", cursor: "default",
    });
    const ticks = document.createElementNS(SVG, "svg");
    ticks.setAttribute("preserveAspectRatio", "none");
    Object.assign(ticks.style, { width: "100%", height: "16px", flex: "none" });
    element.append(ticks, line({}), line({ opacity: "0.75" }));
    return element;
}

function line(style) {
    const text = document.createElement("div");
    Object.assign(text.style, { whiteSpace: "nowrap", overflow: "hidden", textOverflow: "ellipsis", flex: "none", ...style });
    return text;
}

/** Show `kinds` ("FaFa…"), of which the first `done` have run, and two lines of text. */
export function drawStrip(element, view) {
    const look = JSON.stringify(view);
    if (drawn.get(element) === look) return;
    drawn.set(element, look);
    const { kinds, done, lines } = view;
    const [ticks, ...texts] = element.children;
    ticks.setAttribute("viewBox", `0 0 ${Math.max(kinds.length, 1)} 1`);
    const paths = Object.keys(COLORS).flatMap((kind) => [
        path(kind, positions(kinds, kind, 0, done), 1),
        path(kind, positions(kinds, kind, done, kinds.length), 0.4),
    ]);
    ticks.replaceChildren(...paths.filter(Boolean));
    texts.forEach((text, index) => {
        text.textContent = text.title = lines[index];
    });
    // A sentence without ticks, such as that of a refusal, may take all the room.
    ticks.style.display = kinds ? "block" : "none";
    texts[0].style.whiteSpace = kinds ? "nowrap" : "normal";
    Object.assign(element.dataset, { kinds, done: String(done) });
}

function positions(kinds, kind, from, to) {
    const found = [];
    for (let index = from; index < to; index++) if (kinds[index] === kind) found.push(index);
    return found;
}

/** All ticks of one look are one path, so that a run of thousands of steps stays cheap. */
function path(kind, indices, opacity) {
    if (!indices.length) return null;
    const shape = document.createElementNS(SVG, "path");
    const [width, height] = [1 - GAP, HEIGHTS[kind]];
    shape.setAttribute("d", indices.map((x) => `M${x + GAP / 2} 1v${-height}h${width}v${height}z`).join(""));
    shape.setAttribute("fill", COLORS[kind]);
    shape.setAttribute("fill-opacity", opacity);
    return shape;
}
