// The two lines of text under a strip.

import { count } from "./run.js";
import { STEPS_WITHOUT_SAMPLER } from "./question.js";

const percent = (value) => `${Math.round(value)}%`;
const seconds = (value) => `${value.toFixed(value < 10 ? 2 : 1)} s`;
const shares = (kinds) => `${count(kinds, "F")} full + ${count(kinds, "a")} adaptor`;

/** Lines for a plan, as the server answers it. sampler: as samplerBehind finds it. */
export function planLines(plan, sampler) {
    if (plan.error) return [plan.error, ""];
    const about = plan.exact ? "" : "about ";
    const evaluations = `${about}${plan.kinds.length} evaluations: ${shares(plan.kinds)}`;
    return [sampler?.steps ? evaluations : `${evaluations} (${without(sampler)})`, saving(plan.saved_percent)];
}

const without = (sampler) =>
    sampler ? `steps unknown, ${STEPS_WITHOUT_SAMPLER} assumed` : `no sampler, ${STEPS_WITHOUT_SAMPLER} steps assumed`;

function saving(byModel) {
    const models = Object.entries(byModel);
    if (!models.length) return "what it saves, the first run tells";
    if (models.every(([, saved]) => saved === 0)) return "saves nothing: each pass is full";
    return `saves about ${models.map(([model, saved]) => `${percent(saved)}${model ? ` on ${model}` : ""}`).join(", ")}`;
}

/** Lines for a run that goes on, or is over. planned: how many evaluations are expected. */
export function runLines(run, planned) {
    const done = run.kinds.length;
    if (run.state === "running") return [`${done} of ${Math.max(planned, done)}: ${shares(run.kinds)}`, "sampling …"];
    const stopped = run.finished ? "" : ", stopped before its end";
    return [`${done} evaluations: ${shares(run.kinds)}${stopped}`, measured(run)];
}

function measured(run) {
    const parts = [];
    if (run.flops_saved_percent != null) parts.push(`${percent(run.flops_saved_percent)} of compute saved`);
    parts.push(seconds(run.seconds));
    if (run.seconds_saved > 0) parts.push(`about ${seconds(run.seconds_saved)} saved`);
    return parts.join(" · ");
}
