import assert from "node:assert/strict";
import { test } from "node:test";

import { executionId } from "../../web/graph.js";
import { applyNodeOf, questionOf } from "../../web/question.js";
import { samplerBehind } from "../../web/sampler.js";
import { addApply, addKSampler, Graph } from "./stand_in_graph.mjs";

const found = (apply) => {
    const sampler = samplerBehind(apply);
    return sampler && [sampler.title, sampler.steps, sampler.sampler];
};

test("a sampler right behind the node", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    assert.equal(found(apply), null);
    graph.link(apply, 0, addKSampler(graph), "model");
    assert.deepEqual(found(apply), ["KSampler", 30, "heun"]);
});

test("through a LoRA, a reroute and a bypassed sampler, but not through a muted node", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    const muted = addKSampler(graph, 3, { steps: 1 }, 2);
    const lora = graph.add(4, "LoraLoaderModelOnly", { inputs: ["model"], outputs: ["MODEL"] });
    const reroute = graph.add(5, "Reroute", { inputs: [""], outputs: ["*"] });
    const bypassed = graph.add(7, "PatchingSampler", {
        inputs: ["model"], outputs: ["MODEL"], widgets: { steps: 2, sampler_name: "lcm" }, mode: 4,
    });
    graph.link(apply, 0, muted, "model");
    graph.link(apply, 0, lora, "model");
    graph.link(lora, 0, reroute, "");
    graph.link(reroute, 0, bypassed, "model");
    graph.link(bypassed, 0, addKSampler(graph), "model");
    assert.deepEqual(found(apply), ["KSampler", 30, "heun"]);
});

test("a part of the steps of KSamplerAdvanced", () => {
    for (const [start_at_step, end_at_step, steps] of [[0, 10000, 30], [5, 12, 7], [5, 10000, 25], [30, 10000, null]]) {
        const graph = new Graph();
        const apply = addApply(graph);
        graph.link(apply, 0, addKSampler(graph, 6, { start_at_step, end_at_step }), "model");
        assert.equal(samplerBehind(apply).steps, steps);
    }
});

function custom(graph, apply, sigmasOf) {
    const guider = graph.add(10, "CFGGuider", { inputs: ["model"], outputs: ["GUIDER"] });
    const scheduler = graph.add(11, "BasicScheduler", {
        inputs: ["model"], outputs: ["SIGMAS"], widgets: { steps: 12, scheduler: "karras" },
    });
    const select = graph.add(12, "KSamplerSelect", { outputs: ["SAMPLER"], widgets: { sampler_name: "euler" } });
    const sampler = graph.add(13, "SamplerCustomAdvanced", { inputs: ["guider", "sampler", "sigmas"], outputs: ["LATENT"] });
    graph.link(apply, 0, scheduler, "model");
    graph.link(apply, 0, guider, "model");
    graph.link(guider, 0, sampler, "guider");
    graph.link(select, 0, sampler, "sampler");
    const [origin, slot] = sigmasOf(scheduler);
    graph.link(origin, slot, sampler, "sigmas");
}

test("a custom sampler behind a guider, with its scheduler and its sampler", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    custom(graph, apply, (scheduler) => [scheduler, 0]);
    assert.deepEqual(found(apply), ["SamplerCustomAdvanced", 12, "euler"]);
});

test("either part of split sigmas", () => {
    for (const [slot, steps] of [[0, 4], [1, 8]]) {
        const graph = new Graph();
        const apply = addApply(graph);
        custom(graph, apply, (scheduler) => {
            const split = graph.add(20, "SplitSigmas", {
                inputs: ["sigmas"], outputs: ["SIGMAS", "SIGMAS"], widgets: { step: 4 },
            });
            graph.link(scheduler, 0, split, "sigmas");
            return [split, slot];
        });
        assert.equal(samplerBehind(apply).steps, steps);
    }
});

test("steps from a primitive, and steps that cannot be known", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    const sampler = addKSampler(graph);
    graph.link(apply, 0, sampler, "model");
    const primitive = graph.add(30, "PrimitiveInt", { outputs: ["INT"], widgets: { value: 9 } });
    graph.link(primitive, 0, sampler, "steps");
    assert.equal(samplerBehind(apply).steps, 9);
    primitive.widgets = [];
    assert.deepEqual(found(apply), ["KSampler", null, "heun"]);
    assert.equal(questionOf(apply).question.steps, 20);
});

test("into a subgraph, whose steps a widget outside decides", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    const inside = new Graph(graph);
    const sampler = addKSampler(inside);
    sampler.inputs.push({ name: "steps", link: null });
    inside.linkInput(0, sampler, "model");
    inside.linkInput(1, sampler, "steps");
    const outside = graph.add(12, "subgraph", { inputs: ["model", "steps"], widgets: { steps: 17 }, subgraph: inside });
    graph.link(apply, 0, outside, "model");
    assert.deepEqual(found(apply), ["KSampler", 17, "heun"]);
    assert.equal(executionId(sampler), "12:6");
    assert.equal(executionId(apply), "2");
});

test("out of a subgraph", () => {
    const graph = new Graph();
    const inside = new Graph(graph);
    const apply = addApply(inside, 5);
    inside.linkOutput(apply, 0, 0);
    const outside = graph.add(12, "subgraph", { outputs: ["MODEL"], subgraph: inside });
    graph.link(outside, 0, addKSampler(graph), "model");
    assert.deepEqual(found(apply), ["KSampler", 30, "heun"]);
});

test("a schedule asks for the sampler of the node that it feeds", () => {
    const graph = new Graph();
    const apply = addApply(graph, 2, { start_percent: 0.25 });
    const schedule = graph.add(1, "ClockworkSchedule", {
        outputs: ["CLOCKWORK_SCHEDULE"], widgets: { mode: "dense early", full_passes: 4 },
    });
    assert.equal(applyNodeOf(schedule), null);
    assert.equal(questionOf(schedule).question.steps, 20);
    graph.link(schedule, 0, apply, "schedule");
    graph.link(apply, 0, addKSampler(graph), "model");
    assert.equal(applyNodeOf(schedule), apply);
    assert.deepEqual(questionOf(schedule), questionOf(apply));
    const { question } = questionOf(apply);
    assert.deepEqual([question.schedule.mode, question.start_percent, question.steps], ["dense early", 0.25, 30]);
    schedule.mode = 4;
    assert.equal(questionOf(apply).question.schedule, null);
});

test("a schedule of another node is known only when it has run", () => {
    const graph = new Graph();
    const apply = addApply(graph);
    const other = graph.add(1, "ClockworkAutoSchedule", { outputs: ["CLOCKWORK_SCHEDULE"] });
    graph.link(other, 0, apply, "schedule");
    assert.equal(questionOf(apply), null);
});
