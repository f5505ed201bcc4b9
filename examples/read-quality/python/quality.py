"""Quality sums of FASTQ reads; see ../README.md."""


def handler(event, context):
    lines = event["fastq"].splitlines()
    if len(lines) % 4:
        raise ValueError(f"a FASTQ record has four lines, and {len(lines)} is no multiple of four")
    bases = gc = 0
    sums, counts = [], []
    for start in range(0, len(lines), 4):
        name, sequence, _, quality = lines[start : start + 4]
        if not name.startswith("@") or len(sequence) != len(quality):
            raise ValueError(f"not a FASTQ record: {name[:40]}")
        bases += len(sequence)
        gc += sequence.count("G") + sequence.count("C")
        if len(quality) > len(sums):
            more = len(quality) - len(sums)
            sums += [0] * more
            counts += [0] * more
        for position, score in enumerate(quality.encode()):
            sums[position] += score - 33
            counts[position] += 1
    print(f"{len(lines) // 4} reads, {bases} bases")
    return {
        "reads": len(lines) // 4,
        "bases": bases,
        "gc": gc,
        "quality_sum": sums,
        "quality_count": counts,
    }
