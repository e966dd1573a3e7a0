// What the server is asked for a strip: the values of our widgets, and the sampler that they meet.

import { inputNamed, isBypassed, isMuted, originOf, targetsOf, valueOf } from "./graph.js";
import { samplerBehind } from "./sampler.js";

export const STEPS_WITHOUT_SAMPLER = 20;
const SCHEDULE_WIDGETS = ["mode", "clock", "offset", "pattern", "full_steps", "full_passes"];

const values = (node, names) => Object.fromEntries(names.map((name) => [name, valueOf(node, name)]));

/** The Clockwork node whose runs the strip of `node` shows: itself, or the one that a schedule goes to. */
export function applyNodeOf(node) {
    if (node.type === "ClockworkApply") return node;
    return targetsOf(node, 0).map(([target]) => target).find((target) => target.type === "ClockworkApply") ?? null;
}

/** The schedule node that replaces the clock of a Clockwork node; null if none does. */
export function scheduleNodeOf(apply) {
    const origin = originOf(apply, inputNamed(apply, "schedule"))?.node;
    return origin && !isMuted(origin) && !isBypassed(origin) ? origin : null;
}

/** The question for display/plan.py, and the sampler that it is about; null for a schedule that only a run tells. */
export function questionOf(node) {
    const apply = applyNodeOf(node);
    const schedule = node.type === "ClockworkSchedule" ? node : scheduleNodeOf(apply);
    if (schedule && schedule.type !== "ClockworkSchedule") return null;
    const sampler = apply && samplerBehind(apply);
    return {
        sampler,
        question: {
            ...(apply ? values(apply, ["clock", "cut", "kept_blocks", "start_percent", "end_percent"]) : {}),
            schedule: schedule ? values(schedule, SCHEDULE_WIDGETS) : null,
            steps: sampler?.steps ?? STEPS_WITHOUT_SAMPLER,
            sampler: sampler?.sampler ?? null,
        },
    };
}

/** What the cost of an adaptor pass depends on. */
export const cutOf = (question) => (question.cut === "custom" ? `custom ${question.kept_blocks}` : question.cut);
