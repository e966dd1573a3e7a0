// What is known of the last run of a node, made from the server's events; plain data, kept over a reload.

/** The run after one more event ("begun", "evaluated", "ended", "counted"); null if the event is of another run. */
export function runAfter(run, event, data) {
    if (event === "begun") return { run: data.run, state: "running", kinds: "", steps: data.steps };
    if (event === "evaluated" && run?.run !== data.run) run = { run: data.run, state: "running", kinds: "" };
    if (run?.run !== data.run) return null;
    if (event === "evaluated") return { ...run, kinds: run.kinds.slice(0, data.index).padEnd(data.index, "?") + data.kind };
    const { node_id: _node, workflow_id: _workflow, ...news } = data;
    return { ...run, ...news, ...(event === "ended" ? { state: "ended" } : {}) };
}

export const count = (kinds, kind) => kinds.split(kind).length - 1;
