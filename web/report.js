// The text of a report, on its node; the host shows the picture.

import { app } from "../../scripts/app.js";

export const REPORT_HEIGHT = 110;

/** Give a Clockwork Report node a place for its text. remember: called with what the node shows. */
export function addReport(node, remember) {
    const element = document.createElement("div");
    element.className = "clockwork-report";
    Object.assign(element.style, {
        font: "11px/15px sans-serif", color: "var(--input-text, #ddd)", whiteSpace: "pre-wrap",
        overflowY: "auto", userSelect: "text", boxSizing: "border-box",
    });
    element.textContent = "Press Run: how the sampler went is told here.";
    const widget = node.addDOMWidget("clockwork_report", "clockwork_report", element, {
        serialize: false,
        hideOnZoom: false,
        getMinHeight: () => REPORT_HEIGHT,
        getMaxHeight: () => REPORT_HEIGHT,
    });
    widget.serialize = false;
    node.clockworkReport = element;
    const { onExecuted } = node;
    node.onExecuted = function (output, ...others) {
        element.textContent = output.text?.join("\n") ?? "";
        remember({ text: output.text, images: output.images });
        return onExecuted?.call(this, output, ...others);
    };
}

/** Show again what a node showed before the page was loaded anew. */
export function restoreReport(node, shown) {
    if (!shown?.text) return;
    node.clockworkReport.textContent = shown.text.join("\n");
    // The server's temporary pictures are gone when it has been started anew: then the text stays alone.
    if (shown.images) app.nodeOutputs[node.id] = { images: shown.images };
}
