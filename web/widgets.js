// Which widgets matter, given the others; the rest is hidden, or greyed where a link overrules it.

import { inputNamed, valueOf } from "./graph.js";
import { scheduleNodeOf } from "./question.js";

const OF_MODE = {
    "every N": ["clock", "offset"],
    "explicit list": ["pattern"],
    "full steps": ["full_steps"],
    "dense early": ["full_passes"],
};

/** Names of the widgets that have no effect: {hidden, greyed}. */
export function idleWidgets(node) {
    if (node.type === "ClockworkSchedule") {
        const mode = valueOf(node, "mode");
        const others = Object.keys(OF_MODE).filter((other) => other !== mode);
        // A mode that is not known here, of a newer pack, hides nothing.
        return { hidden: mode in OF_MODE ? others.flatMap((other) => OF_MODE[other]) : [], greyed: [] };
    }
    return {
        hidden: valueOf(node, "cut") === "custom" ? [] : ["kept_blocks"],
        greyed: scheduleNodeOf(node) ? ["clock"] : [],
    };
}

/** Hide and grey; returns whether anything has changed. Widgets that a link feeds stay. */
export function showWidgets(node, { hidden, greyed }) {
    let changed = false;
    for (const widget of node.widgets ?? []) {
        const hide = hidden.includes(widget.name) && inputNamed(node, widget.name)?.link == null;
        const grey = greyed.includes(widget.name);
        if (!!widget.hidden !== hide) {
            widget.hidden = hide;
            // Nodes 2.0 reads it here.
            widget.options.hidden = hide;
            // The canvas keeps a hidden widget's place free unless it says that it takes none (4 is its margin).
            if (hide) widget.computeSize = () => [0, -4];
            else delete widget.computeSize;
            changed = true;
        }
        if (!!widget.disabled !== grey) {
            widget.disabled = grey;
            changed = true;
        }
    }
    return changed;
}
