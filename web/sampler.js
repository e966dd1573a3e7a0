// Finds the sampler that a Clockwork node feeds, and what it will do.

import { inputNamed, isBypassed, isMuted, originOf, targetsOf, valueOf } from "./graph.js";

// A MODEL goes on as itself, inside a guider, or through a reroute.
const CARRIERS = ["MODEL", "GUIDER", "*"];

const whole = (value) => (Number.isInteger(value) ? value : null);

/**
 * The first sampler behind a node's MODEL output: {title, steps, sampler}; null if there is none.
 * steps and sampler (the host's name) are null where the graph does not tell.
 */
export function samplerBehind(node) {
    const seen = new Set();
    const waiting = [node];
    while (waiting.length) {
        const current = waiting.shift();
        for (const [target] of modelTargets(current)) {
            if (seen.has(target) || isMuted(target)) continue;
            seen.add(target);
            const sampler = isBypassed(target) ? null : readSampler(target);
            if (sampler) return { title: target.title, ...sampler };
            waiting.push(target);
        }
    }
    return null;
}

const modelTargets = (node) =>
    (node.outputs ?? []).flatMap((output, slot) => (CARRIERS.includes(output.type) ? targetsOf(node, slot) : []));

function readSampler(node) {
    if (node.type.startsWith("Clockwork")) return null;
    if (inputNamed(node, "sigmas") && inputNamed(node, "sampler")) {
        const select = originOf(node, inputNamed(node, "sampler"))?.node;
        return { steps: stepsOfSigmas(node), sampler: (select && valueOf(select, "sampler_name")) ?? null };
    }
    const name = valueOf(node, "sampler_name");
    if (name === undefined || node.outputs?.some((output) => output.type === "SIGMAS")) return null;
    return { steps: stepsOfSampler(node), sampler: name };
}

function stepsOfSampler(node) {
    const steps = whole(valueOf(node, "steps"));
    if (steps === null) return null;
    const first = whole(valueOf(node, "start_at_step")) ?? 0;
    const last = Math.min(steps, whole(valueOf(node, "end_at_step")) ?? steps);
    return last > first ? last - first : null;
}

/** How many steps the sigmas that enter `node` have. */
function stepsOfSigmas(node) {
    const origin = originOf(node, inputNamed(node, "sigmas"));
    if (!origin?.node || origin.widget) return null;
    if (!inputNamed(origin.node, "sigmas")) return whole(valueOf(origin.node, "steps"));
    const before = stepsOfSigmas(origin.node);
    if (origin.node.type !== "SplitSigmas" || before === null) return before;
    const step = whole(valueOf(origin.node, "step"));
    if (step === null) return null;
    return origin.slot === 0 ? Math.min(step, before) : Math.max(before - step, 0) || null;
}
