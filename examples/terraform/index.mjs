import { readFileSync } from "node:fs";

// A layer's files are below /opt.
const words = JSON.parse(readFileSync("/opt/words.json", "utf8"));

// Called by name, or through its URL with ?name=.
export const handler = async (event) => {
    const name = event.name ?? event.queryStringParameters?.name ?? words.nobody;
    return { text: `${process.env.GREETING}, ${name}` };
};
