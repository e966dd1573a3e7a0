// The strips on the Clockwork and the Clockwork Schedule node, and the text on the report.

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { executionId, rootOf } from "./graph.js";
import { Memory } from "./memory.js";
import { planFor } from "./plans.js";
import { applyNodeOf, cutOf, questionOf } from "./question.js";
import { addReport, restoreReport } from "./report.js";
import { runAfter } from "./run.js";
import { createStrip, drawStrip, STRIP_HEIGHT, STRIP_MARGIN } from "./strip.js";
import { idleWidgets, showWidgets } from "./widgets.js";
import { planLines, runLines } from "./words.js";

const EVENTS = ["begun", "evaluated", "ended", "counted"];
// No event of the editor tells of every way in which a value, a link or a sampler may change: so we look.
const LOOK_EVERY_MS = 300;

const memory = new Memory(localStorage);
const strips = new Map(); // node: its element
const live = new Set(); // keys of the runs that this page has heard of since it met the server

const keyOf = (node) => `${rootOf(node.graph).id}/${executionId(node)}`;

function addStrip(node) {
    const element = createStrip();
    const widget = node.addDOMWidget("clockwork_strip", "clockwork_strip", element, {
        serialize: false,
        hideOnZoom: false,
        margin: STRIP_MARGIN,
        getMinHeight: () => STRIP_HEIGHT,
        getMaxHeight: () => STRIP_HEIGHT,
    });
    // Not in the workflow file either, which lists the values of the other widgets by their place.
    widget.serialize = false;
    strips.set(node, element);
    const { onRemoved } = node;
    node.onRemoved = function (...parameters) {
        strips.delete(node);
        return onRemoved?.apply(this, parameters);
    };
}

function refresh(node) {
    if (!node.graph) return;
    const tight = node.size[1] <= node.computeSize()[1];
    if (showWidgets(node, idleWidgets(node))) fitHeight(node, tight);
    drawStrip(strips.get(node), viewOf(node));
}

/** Shown widgets find their place, hidden ones leave no hole unless the user has made the node taller. */
function fitHeight(node, tight) {
    const needed = node.computeSize()[1];
    node.setSize([node.size[0], tight ? needed : Math.max(node.size[1], needed)]);
    app.canvas?.setDirty(true, true);
}

function viewOf(node) {
    const apply = applyNodeOf(node);
    const run = apply && knownRun(keyOf(apply));
    const asked = questionOf(node);
    const plan = asked && planFor(withCost(asked.question, run), refreshAll);
    if (run && (run.state === "running" || !asked || run.question === JSON.stringify(asked.question))) {
        return viewOfRun(run, plan);
    }
    if (!asked) return { kinds: "", done: 0, lines: ["The connected schedule is known when it has run.", ""] };
    if (!plan) return { kinds: "", done: 0, lines: ["…", ""] };
    return { kinds: plan.kinds ?? "", done: 0, lines: planLines(plan, asked.sampler) };
}

/** The last run; none if the server fell silent in the middle of it. */
function knownRun(key) {
    const run = memory.get(key);
    return run?.state === "running" && !live.has(key) ? null : run;
}

function viewOfRun(run, plan) {
    const planned = run.state === "running" ? (plan?.kinds ?? "") : "";
    const kinds = run.kinds + planned.slice(run.kinds.length);
    return { kinds, done: run.kinds.length, lines: runLines(run, kinds.length) };
}

/** What the last run of this node has measured holds as long as its cut is the same. */
function withCost(question, run) {
    const known = run?.adaptor_cost != null && run.cut === cutOf(question);
    return { ...question, adaptor_cost: known ? run.adaptor_cost : null };
}

const refreshAll = () => strips.forEach((_element, node) => refresh(node));

function lookAround() {
    const timer = setInterval(() => {
        try {
            refreshAll();
        } catch (error) {
            // An editor that has changed costs the strips, once, and not a flood of messages.
            clearInterval(timer);
            console.error("[Clockwork] The strips on the nodes stop:", error);
        }
    }, LOOK_EVERY_MS);
}

function hear(event, data) {
    if (!data.workflow_id) return;
    const key = `${data.workflow_id}/${data.node_id}`;
    const before = memory.get(key);
    const run = runAfter(before, event, data);
    if (!run) return;
    if (event === "begun") Object.assign(run, circumstances(key, before));
    live.add(key);
    memory.set(key, run, event !== "evaluated");
    strips.forEach((_element, node) => {
        const apply = applyNodeOf(node);
        if (apply && keyOf(apply) === key) refresh(node);
    });
}

/** What the graph says when a run begins: its result is shown for as long as that holds. */
function circumstances(key, before) {
    const node = [...strips.keys()].find((node) => node.type === "ClockworkApply" && node.graph && keyOf(node) === key);
    const asked = node && questionOf(node);
    if (!asked) return {};
    const cut = cutOf(asked.question);
    return { question: JSON.stringify(asked.question), cut, adaptor_cost: before?.cut === cut ? before.adaptor_cost : null };
}

app.registerExtension({
    name: "clockwork",
    setup() {
        EVENTS.forEach((event) => api.addEventListener(`clockwork.${event}`, ({ detail }) => hear(event, detail)));
        api.addEventListener("reconnected", () => live.clear());
        lookAround();
    },
    nodeCreated(node) {
        if (["ClockworkApply", "ClockworkSchedule"].includes(node.comfyClass)) addStrip(node);
        if (node.comfyClass === "ClockworkReport") {
            addReport(node, (shown) => memory.set(keyOf(node), shown, true));
        }
    },
    loadedGraphNode(node) {
        if (node.comfyClass === "ClockworkReport") restoreReport(node, memory.get(keyOf(node)));
    },
});
