// Walks over the editor's graph: links, reroutes, and the walls of subgraphs.

const SUBGRAPH_INPUT = -10;
const SUBGRAPH_OUTPUT = -20;
const MUTED = 2;
const BYPASSED = 4;

export const isMuted = (node) => node.mode === MUTED;
export const isBypassed = (node) => node.mode === BYPASSED;

/** The graph that holds all others. */
export const rootOf = (graph) => graph?.rootGraph ?? graph;

const linkOf = (graph, id) => (id == null ? null : (graph.getLink?.(id) ?? graph.links?.[id] ?? null));

/** The node that shows `subgraph` as one, with the ids on the way to it; null for the root. */
function findInstance(subgraph, graph = rootOf(subgraph), path = []) {
    for (const node of graph.nodes ?? []) {
        if (!node.subgraph) continue;
        const here = [...path, node.id];
        if (node.subgraph === subgraph) return { node, path: here };
        const deeper = findInstance(subgraph, node.subgraph, here);
        if (deeper) return deeper;
    }
    return null;
}

/** The host's id of a node while a prompt runs: "5", or "12:5" inside the subgraph node 12. */
export function executionId(node) {
    const path = node.graph === rootOf(node.graph) ? [] : (findInstance(node.graph)?.path ?? []);
    return [...path, node.id].join(":");
}

/** What an output leads to, as [node, input slot] pairs. */
export function targetsOf(node, slot) {
    return (node.outputs?.[slot]?.links ?? []).flatMap((id) => targetsOfLink(node.graph, linkOf(node.graph, id)));
}

function targetsOfLink(graph, link) {
    if (!link) return [];
    if (link.target_id === SUBGRAPH_OUTPUT) {
        const instance = findInstance(graph);
        return instance ? targetsOf(instance.node, link.target_slot) : [];
    }
    const node = graph.getNodeById(link.target_id);
    if (!node) return [];
    if (!node.subgraph) return [[node, link.target_slot]];
    const inner = node.subgraph.inputs?.[link.target_slot]?.linkIds ?? [];
    return inner.flatMap((id) => targetsOfLink(node.subgraph, linkOf(node.subgraph, id)));
}

/** What an input comes from, as {node, slot}, or {node, widget} for a widget shown on a subgraph; null if nothing. */
export function originOf(node, input) {
    const link = linkOf(node.graph, input?.link);
    if (!link) return null;
    if (link.origin_id === SUBGRAPH_INPUT) {
        const outer = findInstance(node.graph)?.node;
        const outerInput = outer?.inputs?.[link.origin_slot];
        if (!outerInput) return null;
        return originOf(outer, outerInput) ?? { node: outer, widget: outerInput.widget?.name ?? outerInput.name };
    }
    const origin = node.graph.getNodeById(link.origin_id);
    return origin ? throughNode(origin, link.origin_slot) : null;
}

function throughNode(origin, slot) {
    if (origin.subgraph) {
        const id = origin.subgraph.outputs?.[slot]?.linkIds?.[0];
        const link = linkOf(origin.subgraph, id);
        const inner = link && origin.subgraph.getNodeById(link.origin_id);
        return inner ? throughNode(inner, link.origin_slot) : null;
    }
    if (origin.type === "Reroute") return originOf(origin, origin.inputs[0]);
    return { node: origin, slot };
}

export const inputNamed = (node, name) => node.inputs?.find((input) => input.name === name);
const widgetNamed = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** The value of a widget, also where a link replaces it by a primitive's; undefined if it cannot be known. */
export function valueOf(node, name) {
    const input = inputNamed(node, name);
    if (input?.link == null) return widgetNamed(node, name)?.value;
    const origin = originOf(node, input);
    if (!origin) return undefined;
    return (origin.widget ? widgetNamed(origin.node, origin.widget) : origin.node.widgets?.[0])?.value;
}
