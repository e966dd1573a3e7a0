// Asks the server for plans. The schedule is computed there only, by the code that samples.

import { api } from "../../scripts/api.js";

const MOST_PLANS = 50;
const RETRY_AFTER_MS = 5000;
const plans = new Map();

/** The plan for a question: at once if it was asked before, else null, and `arrived` is called when it is there. */
export function planFor(question, arrived) {
    const key = JSON.stringify(question);
    if (!plans.has(key)) {
        if (plans.size >= MOST_PLANS) plans.delete(plans.keys().next().value);
        plans.set(key, null);
        ask(key).then((plan) => {
            if (!plan) return void setTimeout(() => plans.delete(key), RETRY_AFTER_MS);
            plans.set(key, plan);
            arrived();
        });
    }
    return plans.get(key);
}

/** null where the server does not answer: it is asked again later. */
async function ask(body) {
    try {
        const response = await api.fetchApi("/clockwork/plan", {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body,
        });
        return response.ok ? await response.json() : null;
    } catch {
        return null;
    }
}
