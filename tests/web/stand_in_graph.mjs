// A graph with as much of LiteGraph as the pack's walks touch.

export class Graph {
    constructor(root = null) {
        this.id = "workflow";
        this.nodes = [];
        this.links = {};
        this.rootGraph = root ?? this;
    }

    getNodeById(id) {
        return this.nodes.find((node) => node.id === id);
    }

    /** inputs: "name" or "name:TYPE"; outputs: types; widgets: {name: value}. */
    add(id, type, { inputs = [], outputs = [], widgets = {}, mode = 0, subgraph } = {}) {
        const node = {
            id, type, title: type, mode, graph: this, subgraph,
            inputs: inputs.map((name) => ({ name, link: null })),
            outputs: outputs.map((kind) => ({ type: kind, links: [] })),
            widgets: Object.entries(widgets).map(([name, value]) => ({ name, value, options: {} })),
        };
        this.nodes.push(node);
        return node;
    }

    /** Link an output to an input, which is made if the node has none of that name yet (a widget's). */
    link(origin, slot, target, name) {
        let index = target.inputs.findIndex((input) => input.name === name);
        if (index < 0) index = target.inputs.push({ name, link: null }) - 1;
        const id = this.#add({ origin_id: origin.id, origin_slot: slot, target_id: target.id, target_slot: index });
        target.inputs[index].link = id;
        origin.outputs[slot].links.push(id);
    }

    /** As a subgraph: let input `slot` lead to a node inside. */
    linkInput(slot, target, name) {
        const index = target.inputs.findIndex((input) => input.name === name);
        const id = this.#add({ origin_id: -10, origin_slot: slot, target_id: target.id, target_slot: index });
        target.inputs[index].link = id;
        (this.inputs ??= [])[slot] ??= { linkIds: [] };
        this.inputs[slot].linkIds.push(id);
    }

    /** As a subgraph: let an output of a node inside lead to output `slot`. */
    linkOutput(origin, originSlot, slot) {
        const id = this.#add({ origin_id: origin.id, origin_slot: originSlot, target_id: -20, target_slot: slot });
        origin.outputs[originSlot].links.push(id);
        (this.outputs ??= [])[slot] ??= { linkIds: [] };
        this.outputs[slot].linkIds.push(id);
    }

    #add(link) {
        const id = Object.keys(this.links).length + 1;
        this.links[id] = { id, ...link };
        return id;
    }
}

export const addApply = (graph, id = 2, widgets = {}) =>
    graph.add(id, "ClockworkApply", {
        inputs: ["model", "schedule", "adaptor"],
        outputs: ["MODEL"],
        widgets: { clock: 2, cut: "stage 1", kept_blocks: 3, start_percent: 0, end_percent: 1, ...widgets },
    });

export const addKSampler = (graph, id = 6, widgets = {}, mode = 0) =>
    graph.add(id, "KSampler", {
        inputs: ["model"], outputs: ["LATENT"], widgets: { steps: 30, sampler_name: "heun", ...widgets }, mode,
    });
