import assert from "node:assert/strict";
import { test } from "node:test";

import { Memory } from "../../web/memory.js";
import { runAfter } from "../../web/run.js";
import { idleWidgets, showWidgets } from "../../web/widgets.js";
import { planLines, runLines } from "../../web/words.js";
import { addApply, Graph } from "./stand_in_graph.mjs";

const PLACE = { workflow_id: "uuid", node_id: "2", run: 7 };
const ENDED = { ...PLACE, kinds: "FaF", seconds: 4.25, seconds_saved: 1.5, finished: true };

const after = (...events) => events.reduce((run, [event, data]) => runAfter(run, event, { ...PLACE, ...data }), null);
const evaluated = (index, kind) => ["evaluated", { index, kind }];

test("a run from its events", () => {
    const run = after(["begun", { steps: 3 }], evaluated(0, "F"), evaluated(1, "a"));
    assert.deepEqual([run.state, run.kinds], ["running", "Fa"]);
    const ended = runAfter(run, "ended", ENDED);
    assert.deepEqual([ended.state, ended.kinds, ended.node_id], ["ended", "FaF", undefined]);
    const counted = runAfter(ended, "counted", { ...PLACE, flops_saved_percent: 31, adaptor_cost: 0.38 });
    assert.deepEqual([counted.flops_saved_percent, counted.state], [31, "ended"]);
});

test("a page that was loaded in the middle of a run", () => {
    assert.equal(after(evaluated(2, "F"), evaluated(3, "a")).kinds, "??Fa");
});

test("what is counted late belongs to its own run", () => {
    const next = runAfter(null, "begun", { ...PLACE, run: 8, steps: 3 });
    assert.equal(runAfter(next, "counted", { ...PLACE, flops_saved_percent: 31 }), null);
    assert.equal(runAfter(next, "ended", ENDED), null);
});

test("the lines of a run", () => {
    assert.deepEqual(runLines(after(["begun", {}], evaluated(0, "F")), 6), ["1 of 6: 1 full + 0 adaptor", "sampling …"]);
    const ended = runAfter(after(["begun", {}]), "ended", ENDED);
    assert.deepEqual(runLines(ended, 3), ["3 evaluations: 2 full + 1 adaptor", "4.25 s · about 1.50 s saved"]);
    const counted = { ...ended, flops_saved_percent: 30.6 };
    assert.equal(runLines(counted, 3)[1], "31% of compute saved · 4.25 s · about 1.50 s saved");
    assert.equal(runLines({ ...counted, seconds_saved: -1 }, 3)[1], "31% of compute saved · 4.25 s");
    assert.match(runLines({ ...ended, finished: false }, 3)[0], /stopped before its end/);
});

test("the lines of a plan", () => {
    const plan = { kinds: "FaFa", exact: true, saved_percent: { SDXL: 46.7, "SD 1.5": 31 } };
    const sampler = { steps: 4 };
    assert.deepEqual(planLines(plan, sampler), [
        "4 evaluations: 2 full + 2 adaptor", "saves about 47% on SDXL, 31% on SD 1.5",
    ]);
    assert.equal(planLines({ ...plan, saved_percent: { "": 33.3 } }, sampler)[1], "saves about 33%");
    assert.equal(planLines({ ...plan, saved_percent: {} }, sampler)[1], "what it saves, the first run tells");
    assert.equal(planLines({ ...plan, saved_percent: { "": 0 } }, sampler)[1], "saves nothing: each pass is full");
    assert.match(planLines(plan, null)[0], /no sampler, 20 steps assumed/);
    assert.match(planLines(plan, { steps: null })[0], /steps unknown, 20 assumed/);
    assert.match(planLines({ ...plan, exact: false }, sampler)[0], /^about 4/);
    assert.deepEqual(planLines({ error: "clock is 0." }, sampler), ["clock is 0.", ""]);
});

test("widgets without an effect", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    assert.deepEqual(idleWidgets(apply), { hidden: ["kept_blocks"], greyed: [] });
    apply.widgets.find(({ name }) => name === "cut").value = "custom";
    const schedule = graph.add(1, "ClockworkSchedule", {
        outputs: ["CLOCKWORK_SCHEDULE"], widgets: { mode: "explicit list", clock: 2, offset: 0, pattern: "1" },
    });
    graph.link(schedule, 0, apply, "schedule");
    assert.deepEqual(idleWidgets(apply), { hidden: [], greyed: ["clock"] });
    assert.deepEqual(idleWidgets(schedule).hidden, ["clock", "offset", "full_steps", "full_passes"]);
    schedule.widgets[0].value = "a mode of a newer pack";
    assert.deepEqual(idleWidgets(schedule).hidden, []);
});

test("a widget is hidden once, comes back, and stays where a link feeds it", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    const kept = apply.widgets.find(({ name }) => name === "kept_blocks");
    assert.equal(showWidgets(apply, idleWidgets(apply)), true);
    assert.equal(showWidgets(apply, idleWidgets(apply)), false);
    assert.equal(kept.hidden, true);
    const primitive = graph.add(9, "PrimitiveInt", { outputs: ["INT"], widgets: { value: 9 } });
    graph.link(primitive, 0, apply, "kept_blocks");
    showWidgets(apply, idleWidgets(apply));
    assert.deepEqual([kept.hidden, kept.computeSize], [false, undefined]);
});

test("what is remembered comes back, and a storage that fails costs nothing else", () => {
    const kept = {};
    const storage = { getItem: (key) => kept[key] ?? null, setItem: (key, value) => (kept[key] = value) };
    const memory = new Memory(storage);
    memory.set("a", { run: 1 }, true);
    memory.set("b", { run: 2 }, false);
    assert.deepEqual(memory.get("b"), { run: 2 });
    assert.deepEqual(new Memory(storage).get("a"), { run: 1 });
    assert.equal(new Memory(storage).get("b"), null);
    for (let number = 0; number < 150; number++) memory.set(`${number}`, {}, true);
    assert.equal(memory.get("a"), null);
    assert.deepEqual(memory.get("149"), {});
    const full = { getItem: () => "no JSON", setItem: () => { throw new Error("QuotaExceededError"); } };
    const forgetful = new Memory(full);
    forgetful.set("a", { run: 1 }, true);
    assert.deepEqual(forgetful.get("a"), { run: 1 });
});
