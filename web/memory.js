// Keeps what nodes show in the browser, so that a reload loses nothing. Not in the workflow: a run is no change of it.

const KEY = "clockwork.shown";
const MOST = 100;

export class Memory {
    /** storage: as localStorage is. */
    constructor(storage) {
        this.storage = storage;
        this.entries = new Map(read(storage));
    }

    get(key) {
        return this.entries.get(key) ?? null;
    }

    /** Keep what a node shows; the browser's storage is written only if `lasting`. */
    set(key, shown, lasting) {
        this.entries.delete(key);
        this.entries.set(key, shown);
        if (this.entries.size > MOST) this.entries.delete(this.entries.keys().next().value);
        if (lasting) write(this.storage, [...this.entries]);
    }
}

function read(storage) {
    try {
        return JSON.parse(storage.getItem(KEY)) ?? [];
    } catch {
        return [];
    }
}

function write(storage, entries) {
    try {
        storage.setItem(KEY, JSON.stringify(entries));
    } catch {
        // A full storage costs what a reload would bring back, nothing else.
    }
}
