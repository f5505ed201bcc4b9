// Quality sums of FASTQ reads; see ../README.md.
export const handler = async (event) => {
    const lines = event.fastq.split("\n");
    if (lines.at(-1) === "") {
        lines.pop();
    }
    if (lines.length % 4 !== 0) {
        throw new Error(`a FASTQ record has four lines, and ${lines.length} is no multiple of four`);
    }
    let bases = 0;
    let gc = 0;
    const sums = [];
    const counts = [];
    for (let start = 0; start < lines.length; start += 4) {
        const [name, sequence, , quality] = lines.slice(start, start + 4);
        if (!name.startsWith("@") || sequence.length !== quality.length) {
            throw new Error(`not a FASTQ record: ${name.slice(0, 40)}`);
        }
        bases += sequence.length;
        for (let position = 0; position < sequence.length; ++position) {
            const base = sequence[position];
            gc += base === "G" || base === "C" ? 1 : 0;
            sums[position] = (sums[position] ?? 0) + quality.charCodeAt(position) - 33;
            counts[position] = (counts[position] ?? 0) + 1;
        }
    }
    console.log(`${lines.length / 4} reads, ${bases} bases`);
    return { reads: lines.length / 4, bases, gc, quality_sum: sums, quality_count: counts };
};
