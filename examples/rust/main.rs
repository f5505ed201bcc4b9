//! Bases, GC and the longest open reading frame of a genome.

mod runtime;

use runtime::{Context, Failure};

/// The string member `name` of a flat JSON object whose strings hold no escapes: enough for a
/// genome, without a crate. A function with a richer event would use serde_json.
fn member<'a>(event: &'a str, name: &str) -> Option<&'a str> {
    let after = event.split_once(&format!("\"{name}\""))?.1;
    let value = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    Some(value.split_once('"')?.0)
}

fn longest_orf(sequence: &[u8]) -> usize {
    let mut longest = 0;
    for frame in 0..3.min(sequence.len()) {
        let mut length = 0;
        for codon in sequence[frame..].chunks_exact(3) {
            match codon {
                b"ATG" if length == 0 => length = 1,
                _ if length == 0 => {}
                b"TAA" | b"TAG" | b"TGA" => {
                    longest = longest.max(length);
                    length = 0;
                }
                _ => length += 1,
            }
        }
    }
    longest
}

fn genome(event: &str, context: &Context) -> Result<String, Failure> {
    let sequence = member(event, "sequence")
        .ok_or_else(|| Failure::new("InvalidEvent", "no member sequence".into()))?
        .to_ascii_uppercase();
    if let Some(at) = sequence.find(|base: char| !"ACGTN".contains(base)) {
        let base = &sequence[at..].chars().next().unwrap_or_default();
        return Err(Failure::new("InvalidSequence", format!("no base: {base} at {}", at + 1)));
    }
    println!("{} bases, {} ms left", sequence.len(), context.remaining().as_millis());
    let bases = sequence.as_bytes();
    let gc = bases.iter().filter(|base| matches!(base, b'G' | b'C')).count();
    Ok(format!(
        r#"{{"bases":{},"gc":{gc},"longest_orf":{}}}"#,
        bases.len(),
        longest_orf(bases)
    ))
}

fn main() {
    let end = runtime::run(|handler| (handler == "genome.handler").then_some(genome));
    if let Err(error) = end {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
