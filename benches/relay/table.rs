//! The result, as a Markdown table.

use crate::Sample;

/// Prints the line of one system with one number of streams, and the head before the first.
pub fn print(system: &str, streams: usize, samples: &[Sample], first: bool) {
    if first {
        println!(
            "| system | streams | CPU ns per packet: median (lowest – highest) | user | system | delay µs p50 | p99 | p99.9 | lost |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }
    let per_packet = |ns: &dyn Fn(&Sample) -> u64| {
        Spread::of(samples.iter().map(|sample| ns(sample) as f64 / sample.heard.received.max(1) as f64))
    };
    let total = per_packet(&|sample| sample.cpu.total_ns);
    let user = per_packet(&|sample| sample.cpu.user_ns);
    let kernel = per_packet(&|sample| sample.cpu.system_ns);
    let delay = |quantile: f64| {
        Spread::of(
            samples.iter().map(|sample| sample.heard.delay_ns.value_at_quantile(quantile) as f64 / 1_000.0),
        )
        .median
    };
    let sent: u64 = samples.iter().map(|sample| sample.heard.sent).sum();
    let received: u64 = samples.iter().map(|sample| sample.heard.received).sum();
    println!(
        "| {system} | {streams} | {:.0} ({:.0} – {:.0}) | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.3} % |",
        total.median,
        total.lowest,
        total.highest,
        user.median,
        kernel.median,
        delay(0.5),
        delay(0.99),
        delay(0.999),
        (sent as f64 - received as f64) * 100.0 / sent.max(1) as f64,
    );
}

struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
        Spread { median: at(values.len() / 2), lowest: at(0), highest: at(values.len().saturating_sub(1)) }
    }
}
